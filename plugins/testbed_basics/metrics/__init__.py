"""Metrics for every model: they read predictions or the feature spectrum, never a model."""
