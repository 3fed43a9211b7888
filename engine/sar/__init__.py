"""Sentinel-1 radiometry, speckle and thresholds. Pure numpy; no files."""
