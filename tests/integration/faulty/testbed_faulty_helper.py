"""A helper that the faulty model imports."""

FACTOR = 1.0
