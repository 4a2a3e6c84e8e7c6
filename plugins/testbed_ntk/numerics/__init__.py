"""Kernels, Gram matrices and their spectra."""
