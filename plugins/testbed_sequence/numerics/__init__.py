"""Exact flows and their numerical integration."""
