"""The parameters and outputs of ``samescene:locate_learn``: one or more for every field of the engine's request."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputFolder,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
)

from .definitions import (
    Tr,
    advanced,
    choice,
    device_parameter,
    helped,
    hinted,
    number,
    output_parameter,
    overwrite_parameter,
    raster,
)
from .locate_index_parameters import tile_parameters

SIZES = ("small", "medium", "large")
HEADINGS = ("auto", "known", "unknown")
FEWEST_PHOTOS = 24
"""The engine refuses fewer."""
FIELDS = {
    "tms": ("TMS",),
    "max_zoom": ("MAX_ZOOM",),
    "tile_cache": ("TILE_CACHE",),
    "tile_cache_gb": ("TILE_CACHE_GB",),
    "connections": ("CONNECTIONS",),
    "per_second": ("PER_SECOND",),
    "photos": ("PHOTOS", "PHOTOS_FOLDER"),
    "reference": ("REFERENCE", "ADDRESS"),
    "region": ("EXTENT", "REGION"),
    "out": ("OUTPUT",),
    "name": ("MODEL_NAME",),
    "register_as": ("MODEL_NAME", "REGISTER"),
    "start": ("START", "START_FOLDER"),
    "size": ("SIZE",),
    "steps": ("STEPS",),
    "batch": ("BATCH",),
    "heading": ("HEADING",),
    "cell": ("CELL",),
    "extent": ("TILE_EXTENT",),
    "most_tiles": ("MOST_TILES",),
    "camera_height": ("CAMERA_HEIGHT",),
    "positions": ("POSITIONS",),
    "ignore_positions": ("IGNORE_POSITIONS",),
    "apart": ("APART",),
    "max_tiles": ("MAX_TILES",),
    "attribution": ("ATTRIBUTION",),
    "memory": ("MEMORY",),
    "seed": ("SEED",),
    "device": ("DEVICE",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's CrossviewAdaptRequest that is used here."""


def learn_parameters(tr: Tr, *, models: list[str]) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    folder = QgsProcessingParameterFile.Behavior.Folder
    polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
    return [
        helped(
            QgsProcessingParameterMultipleLayers("PHOTOS", tr("Photos"), QgsProcessing.SourceType.TypeFile, None, True),
            tr("Your own full 360° panoramas of the area, at least 24: JPEG, PNG, TIFF or WebP. Hundreds are few."),
        ),
        helped(
            QgsProcessingParameterFile("PHOTOS_FOLDER", tr("or a folder of photos"), folder, "", None, True),
            tr("All photos in it and in its sub-folders."),
        ),
        raster(
            "REFERENCE",
            tr("Reference imagery"),
            tr("Imagery seen from above: an orthophoto, an XYZ layer, or any other raster layer, a map server's too."),
        ),
        helped(
            QgsProcessingParameterString("ADDRESS", tr("or the address of map tiles"), None, False, True),
            tr("For example https://tiles.example.org/{z}/{x}/{y}.jpg, instead of a layer."),
        ),
        helped(
            QgsProcessingParameterExtent("EXTENT", tr("Area: extent"), None, True),
            tr("The area that the photos are of. Give an extent or polygons; for a file with neither, all of it."),
        ),
        helped(
            QgsProcessingParameterFeatureSource("REGION", tr("Area: polygons"), polygons, None, True),
            tr("The area that the photos are of, as polygons of any layer."),
        ),
        helped(
            QgsProcessingParameterString("MODEL_NAME", tr("Name of the model"), "my-area"),
            tr("Small letters, digits, '.', '_' and '-', up to 64; the lists of methods show it."),
        ),
        helped(
            QgsProcessingParameterBoolean("REGISTER", tr("Add the model to the list of models"), True),
            tr("Keeps a copy among your own models, so that 'Index of a region' offers it by name. An earlier one of "
               "the same name is replaced only with 'Replace results in the folder'."),
        ),
        hinted(
            QgsProcessingParameterString("START", tr("Start from"), "auto"),
            ["auto", "random", *models],
            tr("A cross-view model by name; random: none; auto: the starter model where it is installed, else none."),
        ),
        helped(
            choice("SIZE", tr("Network"), SIZES),
            tr("Of a network that starts at random: small for a processor; medium and large for a GPU and hundreds of "
               "photos."),
        ),
        helped(
            number("STEPS", tr("Steps"), None, low=10, high=1_000_000, whole=True),
            tr("Empty: by the number of photos, at least 250. A small network does about two a second on a processor."),
        ),
        helped(
            QgsProcessingParameterFeatureSource(
                "POSITIONS", tr("Known positions"), [QgsProcessing.SourceType.TypeVector], None, True
            ),
            tr("Only to measure what the training was worth: a point layer of the photos (field photo or filename), or "
               "a table with photo, lon and lat. Empty: what the photos' files say. Never learned from."),
        ),
        advanced(
            QgsProcessingParameterBoolean("IGNORE_POSITIONS", tr("Do not read the files' positions"), False),
            tr("As if the photos' files told no position."),
        ),
        advanced(
            number("APART", tr("Share of the photos kept apart"), 0.2, low=0, high=0.5),
            tr("Of the photos of known position: they are not learned from, and tell what the training was worth."),
        ),
        advanced(
            QgsProcessingParameterFile("START_FOLDER", tr("Start from the folder"), folder, "", None, True),
            tr("The folder of a cross-view model, instead of a model by name."),
        ),
        advanced(
            number("BATCH", tr("Photos a step"), None, low=4, high=1024, whole=True),
            tr("Empty: as the network's size says."),
        ),
        advanced(
            choice("HEADING", tr("Headings of the photos"), HEADINGS),
            tr("Are they to be believed? auto: where four of five photos tell one. Headings that are not known are "
               "looked for together with the places."),
        ),
        advanced(
            number("CELL", tr("Metres between tiles"), 30.0, low=5, high=1000),
            tr("How far apart the tiles are that are cut from the imagery."),
        ),
        advanced(
            number("TILE_EXTENT", tr("Width of a tile (m)"), None, low=0.001),
            tr("Empty: that of the model to start from, else 64."),
        ),
        advanced(
            number("MOST_TILES", tr("Most tiles to learn from"), 20_000, low=24, whole=True),
            tr("An area of more is refused."),
        ),
        advanced(
            number("CAMERA_HEIGHT", tr("Height of the camera (m)"), 2.5, low=0.001),
            tr("Above the ground: 1.6 for a person, 2.5 for a car."),
        ),
        advanced(
            QgsProcessingParameterString("ATTRIBUTION", tr("Attribution"), None, False, True),
            tr("Whom the imagery's licence asks to name; kept with the model. Empty: what the layer says."),
        ),
        advanced(
            number("MEMORY", tr("Memory for imagery (GB)"), 0.4, low=0.05, high=1000),
            tr("How much imagery is kept decoded."),
        ),
        *tile_parameters(tr),
        advanced(
            number("MAX_TILES", tr("Most map tiles"), 50_000, low=1, whole=True),
            tr("An area that needs more tiles of a server is refused: most do not allow downloads in bulk."),
        ),
        advanced(
            number("SEED", tr("Seed"), 0, low=0, high=2**31 - 1, whole=True),
            tr("Seed of weights, order and of what is kept apart."),
        ),
        device_parameter(tr),
        overwrite_parameter(tr),
        output_parameter(
            tr, tr("Folder for the model, curve and report. A run that was stopped goes on when it is repeated.")
        ),
    ]  # fmt: skip


def learn_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder."""
    return [
        QgsProcessingOutputString("MODEL", tr("Model (name, or folder where it is not listed)")),
        QgsProcessingOutputFolder("MODEL_FOLDER", tr("Folder of the model")),
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputNumber("RECALL_1_50M", tr("Photos apart: within 50 m at the first guess (share)")),
        QgsProcessingOutputNumber("BEFORE_1_50M", tr("The same before the training")),
        QgsProcessingOutputNumber("GEOMETRIC_1_50M", tr("The same by the geometric method")),
    ]
