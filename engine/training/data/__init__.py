"""Training data: published layouts read as they lie on disk, checked, packed, augmented and drawn."""
