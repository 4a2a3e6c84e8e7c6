"""Sequence models, each with its exact flow."""
