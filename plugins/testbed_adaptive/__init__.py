"""Adaptive feature models, and the bridge from networks to sequence models."""
