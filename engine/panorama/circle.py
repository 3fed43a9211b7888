"""From when on an image goes all the way round."""

FULL_CIRCLE = 359.99
"""An image that spans at least this many degrees has no left and right edge: its columns go round."""
