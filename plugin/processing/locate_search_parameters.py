"""The parameters and outputs of ``samescene:locate_search`` and ``samescene:locate_evaluate``."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputBoolean,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputMultipleLayers,
    QgsProcessingOutputNumber,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
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
    load_parameter,
    model_folder_parameter,
    number,
    output_parameter,
    overwrite_parameter,
    raster,
)
from .locate_index_parameters import TILE_FIELDS, tile_parameters

STRUCTURES = ("auto", "exact", "hnsw", "ivfpq")
_PHOTOS = {
    **TILE_FIELDS,
    "index": ("INDEX",),
    "panorama": ("PHOTOS", "PHOTOS_FOLDER"),
    "method": ("METHOD", "MODEL_FOLDER"),
    "hfov": ("HFOV",),
    "vfov": ("VFOV",),
    "reference": ("REFERENCE", "ADDRESS"),
    "search": ("SEARCH",),
    "inside": ("INSIDE",),
    "verify": ("VERIFY",),
    "device": ("DEVICE",),
    "out": ("OUTPUT",),
}
SEARCH_FIELDS = {
    **_PHOTOS,
    "heading": ("HEADING",),
    "heading_tolerance": ("HEADING_TOLERANCE",),
    "ignore_heading": ("IGNORE_HEADING",),
    "sequence": ("SEQUENCE",),
    "track": ("TRACK",),
    "top": ("TOP",),
    "check": ("CHECK",),
    "overwrite": ("OVERWRITE",),
}
EVALUATE_FIELDS = {
    **_PHOTOS,
    "positions": ("POSITIONS",),
    "seed": ("SEED",),
    "top": ("TOP",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's requests."""


def search_parameters(tr: Tr, *, methods: list[str]) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    file = QgsProcessingParameterFile.Behavior.File
    return [
        *_photo_parameters(tr),
        helped(
            number("HEADING", tr("Heading (degrees)"), None, low=-360, high=360),
            tr("Compass direction of the photos' middle, clockwise from true north, where it is known and the files "
               "do not tell. Empty: what the files say, else it is searched for."),
        ),
        helped(
            QgsProcessingParameterBoolean("SEQUENCE", tr("The photos belong together (a drive)"), False),
            tr("Searches them jointly, by where they were taken apart: from the positions in their files, or a track."),
        ),
        helped(
            number("TOP", tr("Candidates of each photo"), 20, low=1, high=1000, whole=True),
            tr("How many places are given, the likeliest first."),
        ),
        load_parameter(tr),
        *_method_parameters(tr, methods),
        advanced(
            number("HEADING_TOLERANCE", tr("Heading may be wrong by (degrees)"), 15.0, low=0.001, high=180),
            tr("Compasses in cars and phones are off by 10° and more."),
        ),
        advanced(
            QgsProcessingParameterBoolean("IGNORE_HEADING", tr("Do not believe the files' headings"), False),
            tr("Searches as if the photos' files told no heading."),
        ),
        advanced(
            QgsProcessingParameterFile("TRACK", tr("Track of a drive"), file, "csv", None, True),
            tr("Table with the columns photo, east_m and north_m: where the photos were taken, in metres from "
               "anywhere."),
        ),
        advanced(
            QgsProcessingParameterBoolean("CHECK", tr("Check the index first"), False),
            tr("Compares the checksums of all its files."),
        ),
        *_common(tr, tr("Folder for candidates.gpkg, heat maps, report.html and result.json. Made if absent.")),
    ]  # fmt: skip


def evaluate_parameters(tr: Tr, *, methods: list[str]) -> list[QgsProcessingParameterDefinition]:
    """As :func:`search_parameters`, of the evaluation."""
    return [
        *_photo_parameters(tr),
        helped(
            QgsProcessingParameterFeatureSource(
                "POSITIONS", tr("Known positions"), [QgsProcessing.SourceType.TypeVector], None, True
            ),
            tr("A point layer of the photos (field photo or filename; direction where it is known), or a table with "
               "photo, lon, lat and heading_deg. Empty: what the photos' files say."),
        ),
        helped(
            number("TOP", tr("Candidates of each photo"), 100, low=1, high=10_000, whole=True),
            tr("How many places are scored."),
        ),
        *_method_parameters(tr, methods),
        advanced(
            number("SEED", tr("Seed"), 0, low=0, high=2**31 - 1, whole=True),
            tr("Every 360° panorama is first turned by an angle drawn from it: no heading gives anything away."),
        ),
        *_common(tr, tr("Folder for report.html, queries.csv and result.json. Made if absent.")),
    ]  # fmt: skip


def search_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a search gives besides the folder."""
    point = QgsProcessing.SourceType.TypeVectorPoint
    return [
        QgsProcessingOutputVectorLayer("CANDIDATES", tr("Candidates"), point),
        QgsProcessingOutputMultipleLayers("HEATMAPS", tr("Heat maps")),
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputBoolean("MATCH", tr("A place in this region is believed")),
        QgsProcessingOutputNumber("MATCHED", tr("Photos with a place that is believed")),
        QgsProcessingOutputNumber("SKIPPED", tr("Photos that could not be read")),
    ]


def evaluate_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What an evaluation gives besides the folder."""
    return [
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("QUERIES", tr("Table by photo (CSV)")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputNumber("RECALL_1_50M", tr("Within 50 m at the first guess (share)")),
        QgsProcessingOutputNumber("RECALL_20_50M", tr("Within 50 m among 20 (share)")),
        QgsProcessingOutputNumber("MEDIAN_ERROR_M", tr("Median error of the first candidate (m)")),
        QgsProcessingOutputNumber("PHOTOS_SCORED", tr("Photos that were scored")),
        QgsProcessingOutputNumber("SKIPPED", tr("Photos that were skipped")),
    ]


def _photo_parameters(tr: Tr) -> list[QgsProcessingParameterDefinition]:
    folder = QgsProcessingParameterFile.Behavior.Folder
    return [
        helped(
            QgsProcessingParameterFile("INDEX", tr("Index"), folder),
            tr("Folder of an index of the region, made by 'Index of a region'."),
        ),
        helped(
            QgsProcessingParameterMultipleLayers("PHOTOS", tr("Photos"), QgsProcessing.SourceType.TypeFile, None, True),
            tr("360° panoramas (equirectangular), or other photos: JPEG, PNG, TIFF or WebP."),
        ),
        helped(
            QgsProcessingParameterFile("PHOTOS_FOLDER", tr("or a folder of photos"), folder, "", None, True),
            tr("All photos in it (not in its sub-folders)."),
        ),
    ]


def _method_parameters(tr: Tr, methods: list[str]) -> list[QgsProcessingParameterDefinition]:
    return [
        advanced(
            hinted(QgsProcessingParameterString("METHOD", tr("Method"), "auto"), methods, ""),
            tr("auto: what the index was made with."),
        ),
        model_folder_parameter(tr, tr("The folder of the model that made the index, where it is not in the list.")),
        advanced(
            number("HFOV", tr("Width of the photos (degrees)"), None, low=0.001, high=360),
            tr("Field of view from left to right, where the files do not tell."),
        ),
        advanced(
            number("VFOV", tr("Height of the photos (degrees)"), None, low=0.001, high=180),
            tr("Field of view from top to bottom, where the files do not tell."),
        ),
        advanced(
            number("INSIDE", tr("Photos taken in the region (share, before the search)"), 0.5, low=0.001, high=1),
            tr(
                "How likely it is, from what is known otherwise, that a photo was taken in this region at all: 1 where "
                'that is certain, 0.5 where nothing is known. Probabilities and "no match" follow from it.'
            ),
        ),
        advanced(
            number("VERIFY", tr("Candidates that are verified"), 100, low=0, high=5000, whole=True),
            tr("So many are compared once more with the imagery itself: slower and better."),
        ),
        advanced(
            choice("SEARCH", tr("Search"), STRUCTURES),
            tr("exact compares all cells; hnsw and ivfpq are for indexes of millions."),
        ),
        advanced(
            raster("REFERENCE", tr("Other reference imagery"), ""),
            tr("To verify and show candidates with, where the index's own has moved. A file or an XYZ layer."),
        ),
        advanced(
            QgsProcessingParameterString("ADDRESS", tr("or the address of map tiles"), None, False, True),
            tr("For example https://tiles.example.org/{z}/{x}/{y}.jpg."),
        ),
    ]


def _common(tr: Tr, text: str) -> list[QgsProcessingParameterDefinition]:
    return [*tile_parameters(tr), device_parameter(tr), overwrite_parameter(tr), output_parameter(tr, text)]
