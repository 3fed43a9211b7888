"""The parameters and outputs of ``samescene:landcover_change``: one for every field of the engine's request."""

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
)

from .definitions import (
    Tr,
    advanced,
    area_parameters,
    legend_parameters,
    load_parameter,
    number,
    output_parameter,
    overwrite_parameter,
    raster,
    zone_parameters,
)

FIELDS = {
    "map_a": ("MAP_A",),
    "map_b": ("MAP_B",),
    "out": ("OUTPUT",),
    "legend": ("LEGEND", "LEGEND_FILE"),
    "aoi": ("AOI_EXTENT", "AOI_LAYER"),
    "zones": ("ZONES",),
    "zone_field": ("ZONE_FIELD",),
    "min_area": ("MIN_AREA",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's LandcoverChangeRequest, in the request's order."""


def change_parameters(tr: Tr) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    return [
        raster(
            "MAP_A",
            tr("Earlier map"),
            tr("Land-cover map of the earlier date: landcover.tif, or any raster of class codes."),
            optional=False,
        ),
        raster(
            "MAP_B",
            tr("Later map"),
            tr("Land-cover map of the later date. It may have another grid, but must overlap the earlier map."),
            optional=False,
        ),
        *area_parameters(
            tr,
            extent=tr("Only this rectangle is compared. Leave both areas empty to compare all that the maps share."),
            polygons=tr("Only these polygons are compared. Give either an extent or polygons."),
        ),
        *zone_parameters(tr, tr("Polygons (for example districts) to report change by.")),
        load_parameter(tr),
        *legend_parameters(
            tr,
            tr("Legend that both maps are brought to: empty for the one that they name; one of those "
               "offered."),
        ),
        advanced(
            number("MIN_AREA", tr("Smallest patch of change (m²)"), 0.0, low=0),
            tr("Patches of change smaller than this, in square metres, count as no change; 0: every pixel counts."),
        ),
        overwrite_parameter(tr),
        output_parameter(
            tr,
            tr("Folder for the results: change.tif, change.gpkg, matrix.csv, report.html, result.json. Made if "
               "absent."),
        ),
    ]  # fmt: skip


def change_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder; usable as inputs of a model's next steps."""
    polygon = QgsProcessing.SourceType.TypeVectorPolygon
    return [
        QgsProcessingOutputRasterLayer("CHANGE", tr("Change (from, to)")),
        QgsProcessingOutputVectorLayer("CHANGE_ZONES", tr("Change by zone"), polygon),
        QgsProcessingOutputVectorLayer("MATRIX_TABLE", tr("Change matrix"), QgsProcessing.SourceType.TypeVector),
        QgsProcessingOutputFile("MATRIX", tr("Change matrix (CSV)")),
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputNumber("CHANGED_M2", tr("Changed area (m²)")),
        QgsProcessingOutputNumber("CHANGED_PERCENT", tr("Changed (% of the compared area)")),
    ]
