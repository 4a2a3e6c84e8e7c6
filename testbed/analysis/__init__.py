"""Means, stopping times, slopes and their intervals, from labelled results alone."""
