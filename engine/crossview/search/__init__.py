"""Searching an index for the place of a photo: candidates, re-ranking, probability, heat map."""
