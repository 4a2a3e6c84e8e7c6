"""Beginnings: a distribution with one component, or a scenario, written from templates."""

from __future__ import annotations

from testbed.scaffold.kinds import KINDS
from testbed.scaffold.plugin import plugin_files, write_plugin
from testbed.scaffold.scenario import scenario_text

__all__ = ["KINDS", "plugin_files", "scenario_text", "write_plugin"]
