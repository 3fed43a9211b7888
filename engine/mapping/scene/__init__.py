"""What every map reads: Sentinel-1 and -2 files laid on one grid, areas of interest, scratch rows, small pictures."""
