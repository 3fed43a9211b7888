"""Accuracy and area of a map from a sample of reference points: design, labelling, estimates with intervals."""
