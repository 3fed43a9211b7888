"""Matching without weights: what a panorama shows of the ground, turned and correlated with overhead images."""
