"""Longer help texts of the algorithms."""

from __future__ import annotations

from collections.abc import Callable, Iterable


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
    return _paragraphs(parts)


def landcover_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:landcover`` (HTML)."""
    parts = (
        tr("Maps land cover from a Sentinel-2 image, a Sentinel-1 scene, or both, in SameScene's own engine process: "
           "QGIS stays responsive, and a cancelled run leaves nothing behind."),
        tr("<b>Input.</b> Sentinel-2 of Level-1C or 2A with named bands, in one file or several; the offset of newer "
           "products is found and stated in the log. Sentinel-1 with VV and VH. A missing sensor is no error; all "
           "scenes must be of one place."),
        tr("<b>Model.</b> <i>auto</i>, a model by name (your own are listed too), or a folder. The legend is the "
           "model's own unless another is asked for, to which a mapping is known."),
        tr("<b>Result.</b> <i>landcover.tif</i> (class codes; 0 unknown: cloud, or less sure than the threshold; 255 "
           "not observed), <i>confidence.tif</i> (calibrated, per cent), <i>landcover.gpkg</i> (geodesic areas by "
           "class and by zone), <i>report.html</i> and <i>result.json</i>."),
        tr("How good a map is only a sample tells: <i>Sample points for accuracy</i>, then <i>Accuracy and area</i>."),
    )  # fmt: skip
    return _paragraphs(parts)


def change_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:landcover_change`` (HTML)."""
    parts = (
        tr("Compares two land-cover maps of one place: which class became which, where, and how much of it."),
        tr("<b>Input.</b> Two maps of class codes with the same legend, or with legends between which a mapping is "
           "known. They may have other grids; the later map's grid is used."),
        tr("<b>Result.</b> A raster of from and to, a matrix with geodesic areas, areas by zone, <i>report.html</i> "
           "and <i>result.json</i>. Where either map is unknown or not observed no change is claimed."),
        tr("Two maps that are each 90 % right differ by chance in up to a fifth of their pixels: areas of change read "
           "from maps are no measurement. For one, assess the change map with a sample."),
    )  # fmt: skip
    return _paragraphs(parts)


def legend_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:landcover_legend`` (HTML)."""
    parts = (
        tr("Brings a finished land-cover map to another legend, merges classes, or both, without running the model "
           "again. Where the new legend has no counterpart of a class, the pixels become unknown."),
        tr("<b>Result.</b> <i>landcover.tif</i> in the new codes, with names and colours, and <i>result.json</i>."),
    )  # fmt: skip
    return _paragraphs(parts)


def sample_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:sample_points`` (HTML)."""
    parts = (
        tr("Draws the points at which a person says what is there, by a probability design: only then can accuracy "
           "and area be estimated with intervals."),
        tr("<b>Use.</b> Label the points in the dock's panel or in the attribute table (field <i>label</i>, class "
           "code) from imagery better than the map's, without looking at the map. A point that cannot be told is left "
           "empty, never skipped for being difficult."),
        tr("<b>Result.</b> <i>points.gpkg</i> (in random order, so that those labelled first are a sample too) and "
           "<i>design.json</i>, which belongs with it."),
    )  # fmt: skip
    return _paragraphs(parts)


def accuracy_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:accuracy`` (HTML)."""
    parts = (
        tr("From labelled points: error matrix, overall accuracy, user's and producer's accuracy, F1, and the area of "
           "each class adjusted for the map's errors, all with 95 % intervals (Olofsson et al. 2014; Stehman 2014 "
           "where the strata are not the map's classes)."),
        tr("<b>Input.</b> The labelled points of a sample, edits saved. Points of any other layer are a convenience "
           "sample: its figures are called indicative."),
        tr("<b>Result.</b> <i>report.html</i>, <i>matrix.csv</i>, <i>accuracy.csv</i>, <i>area.csv</i> and "
           "<i>result.json</i>; the overall accuracy and its interval are outputs for further steps."),
    )  # fmt: skip
    return _paragraphs(parts)


def train_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:train_landcover`` (HTML)."""
    parts = (
        tr("Trains a land-cover model from scenes and labels of your own, and measures it on blocks of ground that it "
           "has not seen."),
        tr("<b>Labels.</b> Polygons or points with a class each, in any CRS. What helps most: several places for every "
           "class, spread over the scene; purely one class inside each polygon."),
        tr("<b>Result.</b> A folder with the model, its curve and a report with figures for each class. The model "
           "joins your own models, and <i>Land-cover map</i> offers it by name."),
    )  # fmt: skip
    return _paragraphs(parts)


def locate_index_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:locate_index`` (HTML)."""
    parts = (
        tr("Describes the cells of a region from imagery seen from above, so that photos can be searched for in it. "
           "It is made once for a region; <i>Locate photos</i> uses it as often as you like."),
        tr("<b>Reference.</b> Pixels of half a metre or finer are needed (by the geometric method alone 0.9 m), 0.3 m "
           "are best. A file is read as it is; tiles of an XYZ layer are fetched slowly, as their providers ask; any "
           "other layer is drawn once for the region, and the picture is kept beside the index."),
        tr("<b>Region.</b> Keep it as small as you can: every cell that cannot be right makes the right one easier to "
           "find."),
        tr("<b>Result.</b> A folder. A run that was stopped goes on when it is started again with the same values; "
           "<i>Add to the index</i> makes it larger."),
        tr("The provider's terms apply to the imagery and to what is made from it."),
    )  # fmt: skip
    return _paragraphs(parts)


def locate_search_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:locate_search`` (HTML)."""
    parts = (
        tr("Ranks the places of an indexed region where photos may have been taken, with heading and probability. "
           "Everything stays on this machine."),
        tr("<b>Photos.</b> 360° panoramas are best; a photo of one lens is used as far as it sees. The heading in a "
           "file is believed to within 15°."),
        tr("<b>Result.</b> <i>candidates.gpkg</i> (arrows along the estimated heading), a heat map for each photo, "
           "<i>report.html</i> with each photo beside its candidates, and <i>result.json</i>. \"Not in this region\" "
           "is an answer. Look at the candidates side by side with the photo: a first guess proves nothing."),
    )  # fmt: skip
    return _paragraphs(parts)


def locate_evaluate_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:locate_evaluate`` (HTML)."""
    parts = (
        tr("Searches for photos whose places are known as if nothing were known of them, and tells how far off the "
           "candidates are. Do this before you believe candidates in a new region."),
        tr("<b>Result.</b> <i>report.html</i> with the error curve and the share found within 25, 50 and 100 m by "
           "rank, <i>queries.csv</i> by photo, and <i>result.json</i>. Photos taken outside of the region tell how "
           "well \"not here\" is told."),
    )  # fmt: skip
    return _paragraphs(parts)


def photos_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:photos`` (HTML)."""
    parts = (
        tr("Reads what photos say of themselves: where and when they were taken, where they look, whether they are "
           "full panoramas (360°), parts of one, or photos of one lens. Nothing leaves this machine."),
        tr("<b>Result.</b> <i>photos.gpkg</i> with the layer <i>photos</i>: points with the fields of QGIS's own "
           "<i>Import geotagged photos</i> (photo, filename, directory, altitude, direction, rotation, longitude, "
           "latitude, timestamp) and kind, size, field of view, camera and notes. The table <i>without_position</i> "
           "lists the others, and why. <i>result.json</i> has everything."),
        tr("A photo that is broken is told in the log, and the others go on. Three zeros as heading, pitch and roll "
           "are no heading: cameras without a compass write them."),
    )  # fmt: skip
    return _paragraphs(parts)


def photo_place_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:photo_place`` (HTML)."""
    parts = (
        tr("Copies JPEG photos and writes position and heading into the copies: EXIF GPS, and XMP GPano for "
           "panoramas, where other programs read them. Originals are never changed."),
        tr("<b>Nothing is encoded again:</b> the pixels of a copy are the same bytes. Other metadata stays; what "
           "belonged to an earlier position (speed, satellites, an altitude far away) is left out."),
        tr("<b>Input.</b> One photo with a position, or a layer of points with the file of a photo each: the located "
           "photos of a review have the fields that are looked for. Positions may be in any CRS."),
        tr("The position is marked as found by hand (GPSProcessingMethod MANUAL), not measured by a receiver."),
    )  # fmt: skip
    return _paragraphs(parts)


def locate_learn_help(tr: Callable[[str], str]) -> str:
    """Help of ``samescene:locate_learn`` (HTML)."""
    parts = (
        tr("Trains a cross-view model of an area from your own 360° photos and imagery, without any pair of photo and "
           "place. Everything stays on this machine. At least 24 full panoramas are needed; hundreds are few."),
        tr("<b>What to expect.</b> Without pairs a network learns slowly: from a few hundred photos it learns next to "
           "nothing, and a model to start from may get worse. The report says what is better here."),
        tr("<b>Measured.</b> Of photos of known position a part is kept apart. Before and after the training they are "
           "searched for, as is done by chance and by the geometric method. Positions are never learned from."),
        tr("<b>Result.</b> A folder with the model, its curves, <i>report.html</i> and <i>result.json</i>. The model "
           "joins your own, and <i>Index of a region</i> offers it as a method. A run that was stopped goes on."),
    )  # fmt: skip
    return _paragraphs(parts)


def _paragraphs(parts: Iterable[str]) -> str:
    return "".join(f"<p>{part}</p>" for part in parts)
