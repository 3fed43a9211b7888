"""The parameters and outputs of ``samescene:sample_points``: one parameter for every field of the engine's request."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterString,
)

from .definitions import (
    Tr,
    advanced,
    area_parameters,
    choice,
    helped,
    hinted,
    legend_parameters,
    load_parameter,
    number,
    output_parameter,
    overwrite_parameter,
    raster,
)

DESIGNS = ("stratified", "simple", "systematic")
ALLOCATIONS = ("proportional", "equal", "optimal")

FIELDS = {
    "map": ("MAP",),
    "out": ("OUTPUT",),
    "design": ("DESIGN",),
    "points": ("POINTS",),
    "target_se": ("TARGET_SE",),
    "allocation": ("ALLOCATION", "ALLOCATION_NUMBERS"),
    "min_points": ("MIN_POINTS",),
    "expected": ("EXPECTED",),
    "strata": ("STRATA",),
    "exclude": ("EXCLUDE",),
    "legend": ("LEGEND", "LEGEND_FILE"),
    "aoi": ("AOI_EXTENT", "AOI_LAYER"),
    "seed": ("SEED",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's SampleRequest, in the request's order."""


def sample_parameters(tr: Tr) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    return [
        raster(
            "MAP",
            tr("Map to assess"),
            tr("A raster of class codes, such as landcover.tif or flood.tif."),
            optional=False,
        ),
        helped(
            choice("DESIGN", tr("Design"), DESIGNS),
            tr("stratified: so many points in each class of the map; simple: random anywhere; systematic: a grid with "
               "a random start. All are probability samples, from which accuracy and area can be estimated."),
        ),
        helped(
            number("POINTS", tr("Number of points"), 500, low=2, high=1_000_000, whole=True),
            tr("How many points are drawn. Each has to be labelled by a person: 500 take about a day."),
        ),
        advanced(
            number("TARGET_SE", tr("Wanted standard error of the overall accuracy"), None, low=1e-4, high=0.4999),
            tr("For example 0.01: the number of points is computed from it and the expected accuracies (0.8 where none "
               "are given) instead of being given."),
        ),
        hinted(
            QgsProcessingParameterString("ALLOCATION", tr("Points by class"), ALLOCATIONS[0]),
            list(ALLOCATIONS),
            tr("Of a stratified design: proportional to area, equal, or optimal (from the expected accuracies)."),
        ),
        *area_parameters(
            tr,
            extent=tr("Points are drawn in this rectangle only. Leave both areas empty to assess the whole map."),
            polygons=tr("Points are drawn in these polygons only. Give either an extent or polygons."),
        ),
        load_parameter(tr),
        advanced(
            number("MIN_POINTS", tr("Fewest points in a class"), None, low=0, whole=True),
            tr("A proportional or optimal allocation gives each class at least this many points. Empty: 50, or "
               "fewer, so that no more than half of the points are shared out so."),
        ),
        advanced(
            QgsProcessingParameterString("ALLOCATION_NUMBERS", tr("Numbers of points by class"), None, False, True),
            tr("Of a stratified design, instead of a rule: for example 10=75,40=75,50=50."),
        ),
        advanced(
            QgsProcessingParameterString("EXPECTED", tr("Expected user's accuracy"), None, False, True),
            tr("For an optimal allocation or a wanted standard error: the user's accuracy expected of each class, for "
               "example 10=.9,50=.7."),
        ),
        advanced(
            raster("STRATA", tr("Strata"), ""),
            tr("A raster of strata on any grid that overlaps the map, where they are not the map's own classes."),
        ),
        advanced(
            QgsProcessingParameterString("EXCLUDE", tr("Codes left out"), None, False, True),
            tr("Codes that are no part of the sampled area, for example 0,254, or none. Empty: codes that are no "
               "class, such as unknown and set aside."),
        ),
        *legend_parameters(
            tr, tr("Legend of the map: empty for the one that it names.")
        ),
        advanced(
            number("SEED", tr("Seed"), 0, low=0, high=2**31 - 1, whole=True),
            tr("The same seed draws the same points."),
        ),
        overwrite_parameter(tr),
        output_parameter(tr, tr("Folder for points.gpkg, design.json, report.html and result.json. Made if absent.")),
    ]  # fmt: skip


def sample_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder."""
    return [
        QgsProcessingOutputVectorLayer("SAMPLE", tr("Points to label"), QgsProcessing.SourceType.TypeVectorPoint),
        QgsProcessingOutputFile("DESIGN_FILE", tr("Design of the sample (JSON)")),
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputNumber("COUNT", tr("Number of points")),
    ]
