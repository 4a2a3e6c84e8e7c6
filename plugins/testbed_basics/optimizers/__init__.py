"""Optimizers for any model."""
