"""The exact risk of kernel regression."""
