"""Bases, orders of their functions, and manifolds."""
