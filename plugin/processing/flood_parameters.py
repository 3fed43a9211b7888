"""The parameters and outputs of ``samescene:flood``: one parameter for every field of the engine's request."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterString,
)

from .definitions import (
    Tr,
    advanced,
    area_parameters,
    device_parameter,
    hinted,
    load_parameter,
    model_folder_parameter,
    number,
    observed_parameter,
    output_parameter,
    overwrite_parameter,
    raster,
    units_parameter,
    zone_parameters,
)

RASTERS = ("POST", "BEFORE", "S2", "SCL", "REFERENCE_WATER", "DEM", "HAND")
METHODS = ("auto", "threshold")

FIELDS = {
    "post": ("POST",),
    "out": ("OUTPUT",),
    "before": ("BEFORE",),
    "s2": ("S2",),
    "scl": ("SCL",),
    "reference_water": ("REFERENCE_WATER",),
    "dem": ("DEM",),
    "hand": ("HAND",),
    "aoi": ("AOI_EXTENT", "AOI_LAYER"),
    "zones": ("ZONES",),
    "zone_field": ("ZONE_FIELD",),
    "method": ("METHOD", "MODEL_FOLDER"),
    "units": ("UNITS",),
    "bands": ("BANDS",),
    "probability": ("PROBABILITY",),
    "min_area": ("MIN_AREA",),
    "max_hand": ("MAX_HAND",),
    "max_slope": ("MAX_SLOPE",),
    "observed_at": ("OBSERVED_AT",),
    "device": ("DEVICE",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's FloodRequest, in the request's order."""


def flood_parameters(tr: Tr, *, models: list[str]) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    items = [
        raster(
            "POST",
            tr("Scene after"),
            tr("Sentinel-1 scene during or after the event with bands VV and VH; either alone is enough. sigma0 or "
               "gamma0, terrain-corrected. With a model for it, a Sentinel-2 image with named bands (B02, B03, …)."),
            optional=False,
        ),
        raster(
            "BEFORE",
            tr("Scene before"),
            tr("Scene before the event, of the same sensor, best of the same relative orbit. Its water is reference "
               "water, and change between the scenes helps to find flood. It may have another grid, but must overlap."),
        ),
        raster(
            "REFERENCE_WATER",
            tr("Reference water"),
            tr("Raster of permanent water: 1 water, 0 land, or per cent occurrence (50 and more is water). Without it "
               "and without a scene before, flood and permanent water cannot be told apart."),
        ),
        raster("DEM", tr("Elevation (DEM)"), tr("Digital elevation model in metres. Sets aside steep slopes and radar "
                "shadow, and height above drainage is derived from it unless it is given.")),
        raster("HAND", tr("Height above nearest drainage (HAND)"), tr("Raster of height above the nearest drainage in "
                "metres.")),
        *area_parameters(
            tr,
            extent=tr("Only this rectangle is mapped. Leave both areas empty to map the whole scene."),
            polygons=tr("Only these polygons are mapped; everything else is set aside. Give either an extent or "
                        "polygons."),
        ),
        *zone_parameters(
            tr, tr("Polygons (for example districts) to report flooded area by, with a low and a high bound.")
        ),
        hinted(
            QgsProcessingParameterString("METHOD", tr("Method"), METHODS[0]),
            [*METHODS, *models],
            tr("auto takes what measured better on validation data and says which; threshold needs no model and reads "
               "Sentinel-1; or the name of a model (those that are installed are offered) or a model folder."),
        ),
        load_parameter(tr),
        advanced(
            raster("S2", tr("Sentinel-2 image beside the scene"), ""),
            tr("Only for models that map from both sensors: a Sentinel-2 image of about the same time, beside a "
               "Sentinel-1 scene. Any grid; bands by name (B02, B03, …)."),
        ),
        advanced(
            raster("SCL", tr("Scene classification (SCL)"), ""),
            tr("The SCL band of the Sentinel-2 image: what it calls cloud or cloud shadow is not mapped from that "
               "image. Without it clouds are mapped as they look."),
        ),
        model_folder_parameter(
            tr, tr("A model bundle (a folder with card.json and model.safetensors) instead of a method by name.")
        ),
        units_parameter(tr),
        advanced(
            QgsProcessingParameterString("BANDS", tr("Band numbers"), None, False, True),
            tr("Only where the file does not name its bands, for example VV=1,VH=2; of Sentinel-2 B03=2,B08=4."),
        ),
        advanced(
            number("PROBABILITY", tr("Water from probability (%)"), 50, low=1, high=99, whole=True),
            tr("Water where the probability is at least this per cent (1–99)."),
        ),
        advanced(
            number("MIN_AREA", tr("Smallest water body (m²)"), 2000.0, low=0),
            tr("Water bodies smaller than this, in square metres, are dropped; 0 keeps all."),
        ),
        advanced(
            number("MAX_HAND", tr("Highest water above drainage (m)"), 15.0, low=1e-6),
            tr("Water higher above the nearest drainage than this, in metres, is set aside (needs a DEM or HAND)."),
        ),
        advanced(
            number("MAX_SLOPE", tr("Steepest water (degrees)"), 5.0, low=1e-6, high=90),
            tr("Water on slopes steeper than this, in degrees, is set aside (needs a DEM)."),
        ),
        observed_parameter(tr),
        device_parameter(tr),
        overwrite_parameter(tr),
        output_parameter(
            tr,
            tr("Folder for the results: flood.tif, water_probability.tif, flood.gpkg, report.html, result.json. Made "
               "if absent."),
        ),
    ]  # fmt: skip
    return items


def flood_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder; usable as inputs of a model's next steps."""
    polygon = QgsProcessing.SourceType.TypeVectorPolygon
    return [
        QgsProcessingOutputRasterLayer("FLOOD", tr("Flood map (classes)")),
        QgsProcessingOutputRasterLayer("WATER_PROBABILITY", tr("Water probability (%)")),
        QgsProcessingOutputRasterLayer("EXCLUDED", tr("Set aside, by reason")),
        QgsProcessingOutputVectorLayer("POLYGONS", tr("Water polygons"), polygon),
        QgsProcessingOutputVectorLayer("FLOODED_ZONES", tr("Flooded area by zone"), polygon),
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputNumber("FLOOD_M2", tr("Flooded area (m²)")),
        QgsProcessingOutputNumber("WATER_M2", tr("Water of which it is not known whether it is flood (m²)")),
        QgsProcessingOutputNumber("OBSERVED_PERCENT", tr("Observed (% of the mapped area)")),
    ]
