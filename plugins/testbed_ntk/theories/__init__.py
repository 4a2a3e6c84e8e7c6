"""Learning curves, rates and barriers of kernel regression."""
