"""Truths f* on points of a known law, and the labels of data sets."""
