"""Bird's-eye views made to look like tiles: by the statistics of their colours, by their spectra, or by a network."""
