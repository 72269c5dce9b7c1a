"""Measurements: `python -m bench` prints each figure beside its floor or its target, medians of several rounds."""
