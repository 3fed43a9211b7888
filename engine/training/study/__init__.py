"""Studies: grids of training runs, scored side by side."""
