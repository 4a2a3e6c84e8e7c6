"""Estimators of outside libraries, to compare with."""
