"""Learning an area: a cross-view network trained on one's own photos and imagery, without any pair."""
