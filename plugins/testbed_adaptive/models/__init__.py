"""Models whose features move."""
