"""The terminal: commands, tables, progress and summaries.

The command line is `console.cli`; nothing else here is used elsewhere.
"""
