"""Thin click commands over the table of jobs."""
