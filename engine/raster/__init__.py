"""Grids, windows, reading with masks, writing, vectors and geodesic area."""
