"""Widgets of the Locate tab: photos, region, search, answers, review."""
