"""Figures of merit: segmentation, calibration, retrieval, area."""
