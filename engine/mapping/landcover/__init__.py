"""Land-cover maps: classes and confidence from Sentinel-2, Sentinel-1 or both; change between two maps; scoring."""
