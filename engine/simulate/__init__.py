"""Simulated scenes with exact truth."""
