"""Kinds of claims about feature learning."""
