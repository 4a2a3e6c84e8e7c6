"""Population flows, escape times and rates."""
