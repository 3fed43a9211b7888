"""The parameters and outputs of ``samescene:locate_index``: one or more for every field of the engine's request."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputFolder,
    QgsProcessingOutputNumber,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterString,
)

from .definitions import (
    Tr,
    advanced,
    choice,
    device_parameter,
    helped,
    hinted,
    load_parameter,
    model_folder_parameter,
    number,
    output_parameter,
    overwrite_parameter,
    raster,
)

PRECISIONS = ("float16", "float32")
TILE_FIELDS = {
    "tms": ("TMS",),
    "max_zoom": ("MAX_ZOOM",),
    "tile_cache": ("TILE_CACHE",),
    "tile_cache_gb": ("TILE_CACHE_GB",),
    "connections": ("CONNECTIONS",),
    "per_second": ("PER_SECOND",),
}
TILE_OPTIONS = tuple(name for (name,) in TILE_FIELDS.values())
FIELDS = {
    **TILE_FIELDS,
    "reference": ("REFERENCE", "ADDRESS"),
    "region": ("EXTENT", "REGION"),
    "out": ("OUTPUT",),
    "method": ("METHOD", "MODEL_FOLDER"),
    "cell": ("CELL",),
    "scales": ("SCALES",),
    "precision": ("PRECISION",),
    "imagery_date": ("IMAGERY_DATE",),
    "attribution": ("ATTRIBUTION",),
    "max_tiles": ("MAX_TILES",),
    "memory": ("MEMORY",),
    "update": ("UPDATE",),
    "overwrite": ("OVERWRITE",),
    "device": ("DEVICE",),
}
"""The parameters that fill each field of the engine's LocateIndexRequest."""


def index_parameters(tr: Tr, *, methods: list[str]) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
    return [
        raster(
            "REFERENCE",
            tr("Reference imagery"),
            tr("Imagery seen from above: an orthophoto, an XYZ layer, or any other raster layer, a map server's (WMS, "
               "WMTS) too, which is then drawn once for the region and kept beside the index."),
        ),
        helped(
            QgsProcessingParameterString("ADDRESS", tr("or the address of map tiles"), None, False, True),
            tr("For example https://tiles.example.org/{z}/{x}/{y}.jpg, instead of a layer."),
        ),
        helped(
            QgsProcessingParameterExtent("EXTENT", tr("Region: extent"), None, True),
            tr("Where to search. Give an extent or polygons; for a file with neither, all of it."),
        ),
        helped(
            QgsProcessingParameterFeatureSource("REGION", tr("Region: polygons"), polygons, None, True),
            tr("Where to search: polygons of any layer, for example a buffer around where the photo may be from."),
        ),
        hinted(
            QgsProcessingParameterString("METHOD", tr("Method"), "auto"),
            methods,
            tr("geometric needs no training; a model may be better where it knows such places; fused is both. auto is "
               "fused where the starter model is installed, else geometric."),
        ),
        helped(
            number("CELL", tr("Metres between cells"), None, low=5, high=1000),
            tr("Empty: 30; 20 for the starter model and fused, 10 for geometric. Smaller is more exact and slower."),
        ),
        helped(
            QgsProcessingParameterString("IMAGERY_DATE", tr("Date of the imagery"), None, False, True),
            tr("Kept and shown with every answer, for example 2023-06. Empty: what the file says."),
        ),
        helped(
            QgsProcessingParameterString("ATTRIBUTION", tr("Attribution"), None, False, True),
            tr("Whom the imagery's licence asks to name. Empty: what the layer says."),
        ),
        helped(
            QgsProcessingParameterBoolean("UPDATE", tr("Add to the index in the folder"), False),
            tr("Describes only the cells of the region that the index does not have yet, or that had no imagery."),
        ),
        load_parameter(tr),
        model_folder_parameter(
            tr, tr("A cross-view model (a folder with card.json and model.safetensors) instead of a method by name.")
        ),
        advanced(
            QgsProcessingParameterString("SCALES", tr("Scales (metres a pixel)"), None, False, True),
            tr("At which the imagery is described, for example 0.2,0.4. Empty: those that the method wants."),
        ),
        advanced(
            choice("PRECISION", tr("Precision of embeddings"), PRECISIONS),
            tr("How a model's descriptions are kept."),
        ),
        advanced(
            number("MEMORY", tr("Memory for imagery (GB)"), 0.4, low=0.05, high=1000),
            tr("How much imagery is kept decoded."),
        ),
        *tile_parameters(tr),
        advanced(
            number("MAX_TILES", tr("Most tiles"), 50_000, low=1, whole=True),
            tr("A region that needs more tiles is refused: most providers do not allow downloads in bulk."),
        ),
        device_parameter(tr),
        overwrite_parameter(tr),
        output_parameter(
            tr, tr("Folder of the index. Made if absent; a run that was stopped goes on when it is started again.")
        ),
    ]  # fmt: skip


def tile_parameters(tr: Tr) -> list[QgsProcessingParameterDefinition]:
    """How a tile server is asked; of all algorithms that read imagery."""
    folder = QgsProcessingParameterFile.Behavior.Folder
    return [
        advanced(
            QgsProcessingParameterBoolean("TMS", tr("Tiles: rows count from the south"), False),
            tr("Where the address says {y} and means it from the south (TMS)."),
        ),
        advanced(
            number("MAX_ZOOM", tr("Tiles: highest zoom"), None, low=0, high=24, whole=True),
            tr("Empty: what the layer says, else 19."),
        ),
        advanced(
            QgsProcessingParameterFile("TILE_CACHE", tr("Tiles: folder of the cache"), folder, "", None, True),
            tr("Where fetched tiles are kept. Empty: the user's cache."),
        ),
        advanced(
            number("TILE_CACHE_GB", tr("Tiles: size of the cache (GB)"), 2.0, low=0.001, high=10_000),
            tr("The oldest tiles go first."),
        ),
        advanced(
            number("CONNECTIONS", tr("Tiles: connections"), 2, low=1, high=8, whole=True),
            tr("How many tiles are asked for at once."),
        ),
        advanced(
            number("PER_SECOND", tr("Tiles: most a second"), 10.0, low=0.001, high=1000),
            tr("More than a provider allows may get you blocked."),
        ),
    ]


def index_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder."""
    return [
        QgsProcessingOutputFolder("INDEX", tr("Index")),
        QgsProcessingOutputVectorLayer("AREA", tr("Indexed area"), QgsProcessing.SourceType.TypeVectorPolygon),
        QgsProcessingOutputNumber("CELLS", tr("Cells")),
        QgsProcessingOutputNumber("ADDED", tr("Cells that were added")),
        QgsProcessingOutputNumber("GAPS", tr("Cells without imagery")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
    ]
