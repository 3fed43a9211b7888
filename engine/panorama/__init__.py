"""Panoramas as geometry: what part of the sphere an image shows, seen from above, in polar form or through a lens."""
