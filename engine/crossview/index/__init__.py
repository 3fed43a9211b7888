"""The index of a region: its cells described once, kept in a folder, searched many times."""
