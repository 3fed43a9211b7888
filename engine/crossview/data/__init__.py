"""Sets of ground and overhead images in the layouts that they are published in."""
