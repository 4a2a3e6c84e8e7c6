"""Truths of sequences."""
