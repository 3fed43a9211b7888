"""Optical images: reflectance, bands of products, scene classification, water indices: pure numpy, no files."""
