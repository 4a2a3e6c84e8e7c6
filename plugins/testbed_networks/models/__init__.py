"""Networks as models: what a scenario can train."""
