"""What the flows conserve."""
