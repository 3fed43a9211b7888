"""Longer help texts of the algorithms."""

from __future__ import annotations

from collections.abc import Callable


def flood_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:flood`` (HTML), beside which QGIS lists the parameters with their own help."""
    parts = (
        tr("Maps open water and flood from a Sentinel-1 scene or, with a model, from Sentinel-2 or both. It runs in "
           "SameScene's own engine process: QGIS stays responsive, and a cancelled run leaves nothing behind."),
        tr("<b>Input.</b> A terrain-corrected scene with VV and VH (sigma0 or gamma0 in decibel, linear power or "
           "amplitude; the unit is found and stated in the log). With a scene before the event, or reference water, "
           "flood is told from permanent water; without either, water is mapped as water."),
        tr("<b>Sentinel-2.</b> A model for it maps from an image with named bands (reflectance or digital numbers), a "
           "model for both sensors from either or from the two together; the scene classification (SCL) hides clouds. "
           "Without a model Sentinel-2 is refused."),
        tr("<b>Elevation</b> (DEM, or height above the nearest drainage) sets aside look-alikes: steep slopes, radar "
           "shadow, places too high above the drainage. What is set aside is a class of its own, with its reason in "
           "a second raster, and is never counted as dry."),
        tr("<b>Result.</b> <i>flood.tif</i> (0 dry land, 1 reference water, 2 flood, 3 water without a reference, "
           "254 set aside, 255 not observed), <i>water_probability.tif</i> (per cent), <i>flood.gpkg</i> (polygons, "
           "and zones with low and high bounds), <i>report.html</i> and <i>result.json</i>."),
        tr("The log begins with the <i>engine</i> command that does exactly the same outside QGIS."),
    )  # fmt: skip
    return "".join(f"<p>{part}</p>" for part in parts)
