"""The parameters and outputs of ``samescene:landcover_legend``: one for every field of the engine's request."""

from __future__ import annotations

from qgis.core import (
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputRasterLayer,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from .definitions import (
    Tr,
    advanced,
    helped,
    hinted,
    legend_names,
    legend_parameters,
    load_parameter,
    output_parameter,
    overwrite_parameter,
    raster,
)

FIELDS = {
    "map": ("MAP",),
    "out": ("OUTPUT",),
    "legend": ("LEGEND", "LEGEND_FILE"),
    "source_legend": ("SOURCE_LEGEND",),
    "merge": ("MERGE",),
    "mapping": ("MAPPING",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's LandcoverLegendRequest, in the request's order."""


def legend_map_parameters(tr: Tr) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    legend, file = legend_parameters(tr, tr("Legend of the new map: empty for the map's own."))
    legend.setFlags(legend.flags() & ~QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return [
        raster(
            "MAP",
            tr("Map"),
            tr("Land-cover map: landcover.tif, or any raster of class codes from 0 to 254."),
            optional=False,
        ),
        legend,
        helped(
            QgsProcessingParameterString("MERGE", tr("Classes to merge"), None, False, True),
            tr("In codes of the new map, for example 20+30=30,90+95=90."),
        ),
        load_parameter(tr),
        file,
        advanced(
            hinted(
                QgsProcessingParameterString("SOURCE_LEGEND", tr("Legend of the map"), None, False, True),
                ["", *legend_names()],
                "",
            ),
            tr("Legend that the map is in: empty for the one that it names, worldcover where its codes fit."),
        ),
        advanced(
            QgsProcessingParameterFile(
                "MAPPING", tr("File of codes"), QgsProcessingParameterFile.Behavior.File, "json", None, True
            ),
            tr('JSON with new codes by code of the map, for example {"1": 10, "2": 10, "3": 0}, instead of the mapping '
               "that the legends have; 0 is unknown."),
        ),
        overwrite_parameter(tr),
        output_parameter(tr, tr("Folder for landcover.tif and result.json. Made if absent.")),
    ]  # fmt: skip


def legend_map_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder."""
    return [
        QgsProcessingOutputRasterLayer("LANDCOVER", tr("Land cover (class codes)")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
    ]
