"""Results as layers: what to load, names, groups, styles, legend, time range and metadata."""
