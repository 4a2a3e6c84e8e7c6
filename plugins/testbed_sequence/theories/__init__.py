"""Expected risks, rates and bounds."""
