"""The parameters and outputs of ``samescene:landcover``: one parameter for every field of the engine's request."""

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
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)

from .definitions import (
    Tr,
    advanced,
    area_parameters,
    device_parameter,
    helped,
    hinted,
    legend_parameters,
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

FIELDS = {
    "scene": ("SCENES",),
    "out": ("OUTPUT",),
    "scl": ("SCL",),
    "aoi": ("AOI_EXTENT", "AOI_LAYER"),
    "zones": ("ZONES",),
    "zone_field": ("ZONE_FIELD",),
    "model": ("MODEL", "MODEL_FOLDER"),
    "legend": ("LEGEND", "LEGEND_FILE"),
    "unknown_below": ("UNKNOWN_BELOW",),
    "min_area": ("MIN_AREA",),
    "units": ("UNITS",),
    "bands": ("BANDS",),
    "observed_at": ("OBSERVED_AT",),
    "device": ("DEVICE",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's LandcoverRequest, in the request's order."""


def landcover_parameters(tr: Tr, *, models: list[str]) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    return [
        helped(
            QgsProcessingParameterMultipleLayers(
                "SCENES", tr("Scenes"), QgsProcessing.SourceType.TypeRaster, None, False
            ),
            tr("A Sentinel-2 image (Level-1C or 2A), a Sentinel-1 scene (VV, VH), or both; the bands of one sensor may "
               "lie in several files of one date. Bands are found by name (B02, B03, …)."),
        ),
        raster(
            "SCL",
            tr("Scene classification (SCL)"),
            tr("The SCL band of the Sentinel-2 image: cloud and cloud shadow become unknown. Without it thick cloud is "
               "found by a simple test of brightness."),
        ),
        *area_parameters(
            tr,
            extent=tr("Only this rectangle is mapped. Leave both areas empty to map the whole scene."),
            polygons=tr("Only these polygons are mapped. Give either an extent or polygons."),
        ),
        *zone_parameters(tr, tr("Polygons (for example districts) to report the area of each class by.")),
        hinted(
            QgsProcessingParameterString("MODEL", tr("Model"), "auto"),
            ["auto", *models],
            tr("auto takes the model that fits the sensors, or a model by name: those that are installed and those "
               "trained here are offered."),
        ),
        load_parameter(tr),
        *legend_parameters(
            tr,
            tr("Legend of the map: empty for the model's own; one of those offered, where a mapping to it "
               "is known."),
        ),
        advanced(
            number("UNKNOWN_BELOW", tr("Unknown below confidence (%)"), None, low=0, high=99, whole=True),
            tr("Pixels of less confidence than this per cent become unknown. Empty: the model's own threshold; 0: "
               "none."),
        ),
        advanced(
            number("MIN_AREA", tr("Minimum mapping unit (m²)"), 1000.0, low=0),
            tr("Patches smaller than this, in square metres, go to their neighbours; 0 keeps all."),
        ),
        model_folder_parameter(
            tr, tr("A model bundle (a folder with card.json and model.safetensors) instead of a model by name.")
        ),
        units_parameter(tr),
        advanced(
            QgsProcessingParameterString("BANDS", tr("Band numbers"), None, False, True),
            tr("Only where the file does not name its bands, for example B02=1,B03=2,B04=3,B08=4 or VV=1,VH=2."),
        ),
        observed_parameter(tr),
        device_parameter(tr),
        overwrite_parameter(tr),
        output_parameter(
            tr,
            tr("Folder for the results: landcover.tif, confidence.tif, landcover.gpkg, report.html, result.json. Made "
               "if absent."),
        ),
    ]  # fmt: skip


def landcover_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder; usable as inputs of a model's next steps."""
    polygon = QgsProcessing.SourceType.TypeVectorPolygon
    return [
        QgsProcessingOutputRasterLayer("LANDCOVER", tr("Land cover (class codes)")),
        QgsProcessingOutputRasterLayer("CONFIDENCE", tr("Confidence (%)")),
        QgsProcessingOutputVectorLayer("LANDCOVER_ZONES", tr("Land cover by zone"), polygon),
        QgsProcessingOutputVectorLayer("AREAS", tr("Area by class"), QgsProcessing.SourceType.TypeVector),
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputNumber("UNKNOWN_PERCENT", tr("Unknown (% of the observed area)")),
        QgsProcessingOutputNumber("OBSERVED_PERCENT", tr("Observed (% of the mapped area)")),
    ]
