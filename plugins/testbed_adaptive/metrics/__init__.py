"""Metrics of features that move in training."""
