"""Training of cross-view networks: from pairs, from some pairs, or from none."""
