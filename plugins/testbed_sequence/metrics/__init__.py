"""Metrics of the quantities that gradient flows conserve."""
