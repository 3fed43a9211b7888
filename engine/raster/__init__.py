"""Rasters and vectors: grids and windows, reading with masks, writing, areas, polygons, terrain."""

from engine.raster.gdal import scrub_environment

# Before rasterio is imported anywhere: a foreign PROJ_LIB or GDAL_DATA breaks every coordinate system for good.
scrub_environment()
