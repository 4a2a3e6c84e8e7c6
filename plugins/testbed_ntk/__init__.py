"""Kernels and kernel regression: neural tangent kernels, their flows and spectral filters."""
