"""Where inputs come from: random points of a known law, and data sets."""
