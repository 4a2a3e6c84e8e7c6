"""The commands, one file for each group of them; `testbed.console.cli` puts them together."""
