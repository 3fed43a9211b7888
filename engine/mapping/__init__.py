"""Maps from scenes: flood, land cover, streaming inference, reports."""
