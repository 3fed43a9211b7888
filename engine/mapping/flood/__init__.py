"""Flood maps: detectors of water, the streamed pipeline, its outputs."""
