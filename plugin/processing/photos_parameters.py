"""The parameters and outputs of ``samescene:photos`` and ``samescene:photo_place``, by field of the requests."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterPoint,
)

from .definitions import Tr, advanced, helped, load_parameter, number, output_parameter, overwrite_parameter

FACTS_FIELDS = {
    "photos": ("PHOTOS", "FOLDER"),
    "recursive": ("RECURSIVE",),
    "thumbnails": ("THUMBNAILS",),
    "thumbnail_size": ("THUMBNAIL_SIZE",),
    "out": ("OUTPUT",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's PhotoFactsRequest, in the request's order."""
PLACE_FIELDS = {
    "photo": ("PHOTO",),
    "lon": ("POSITION",),
    "lat": ("POSITION",),
    "heading": ("HEADING",),
    "accuracy": ("ACCURACY",),
    "table": ("PLACES", "PHOTO_FIELD", "HEADING_FIELD", "ACCURACY_FIELD"),
    "out": ("OUTPUT",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's PhotoPlaceRequest, in the request's order."""


def photos_parameters(tr: Tr) -> list[QgsProcessingParameterDefinition]:
    """The parameters of ``samescene:photos`` in the order of the dialog."""
    folder = QgsProcessingParameterFile.Behavior.Folder
    return [
        helped(
            QgsProcessingParameterMultipleLayers(
                "PHOTOS", tr("Photos"), QgsProcessing.SourceType.TypeFile, None, True
            ),
            tr("Panoramas or ordinary photos: JPEG, PNG, TIFF, WebP."),
        ),
        helped(
            QgsProcessingParameterFile("FOLDER", tr("Folder of photos"), folder, "", None, True),
            tr("A folder that is searched for photos, instead of files or besides."),
        ),
        helped(
            QgsProcessingParameterBoolean("RECURSIVE", tr("Search the sub-folders too"), True),
            tr("Also looks into the folders inside the folder."),
        ),
        advanced(
            QgsProcessingParameterFile("THUMBNAILS", tr("Folder for small pictures"), folder, "", None, True),
            tr("Writes an upright JPEG of each photo there; made if absent."),
        ),
        advanced(
            number("THUMBNAIL_SIZE", tr("Longer side of small pictures (pixels)"), 256, low=32, high=2048, whole=True),
            tr("Of the small pictures, where they are written."),
        ),
        overwrite_parameter(tr),
        load_parameter(tr),
        output_parameter(tr, tr("Folder for photos.gpkg and result.json. Made if absent.")),
    ]  # fmt: skip


def photos_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What ``samescene:photos`` gives besides the folder."""
    return [
        QgsProcessingOutputVectorLayer("POINTS", tr("Photos"), QgsProcessing.SourceType.TypeVectorPoint),
        QgsProcessingOutputFile("RESULT", tr("What the photos tell (JSON)")),
        QgsProcessingOutputNumber("COUNT", tr("Photos")),
        QgsProcessingOutputNumber("WITH_POSITION", tr("Photos with a position")),
        QgsProcessingOutputNumber("UNREADABLE", tr("Photos that cannot be used")),
    ]


def place_parameters(tr: Tr) -> list[QgsProcessingParameterDefinition]:
    """The parameters of ``samescene:photo_place`` in the order of the dialog."""
    kind = QgsProcessingParameterFile.Behavior.File
    points = [QgsProcessing.SourceType.TypeVectorPoint]
    heading = number("HEADING", tr("Heading (degrees from true north)"), None, low=-360, high=360)
    accuracy = number("ACCURACY", tr("Accuracy (metres)"), None, low=0.01, high=1_000_000)
    return [
        helped(
            QgsProcessingParameterFile("PHOTO", tr("Photo"), kind, "", None, True),
            tr("One JPEG photo that is copied. For many give a layer of places instead."),
        ),
        helped(
            QgsProcessingParameterPoint("POSITION", tr("Position"), None, True),
            tr("Where it was taken; a coordinate pair with its CRS, or a click on the map."),
        ),
        helped(heading, tr("Compass direction of the middle of the image, clockwise. Empty keeps what the file says.")),
        helped(accuracy, tr("By how many metres the position may be off; kept in the copy where it is given.")),
        helped(
            QgsProcessingParameterFeatureSource("PLACES", tr("Places of many photos"), points, None, True),
            tr("Points with the file of a photo each, for example the located photos of a review."),
        ),
        advanced(
            QgsProcessingParameterField("PHOTO_FIELD", tr("Field of the file"), None, "PLACES", optional=True),
            tr("Field with the photo's full path; empty: path, else photo."),
        ),
        advanced(
            QgsProcessingParameterField("HEADING_FIELD", tr("Field of the heading"), None, "PLACES", optional=True),
            tr("Degrees from true north; empty: heading_deg, else direction, where there is one."),
        ),
        advanced(
            QgsProcessingParameterField("ACCURACY_FIELD", tr("Field of the accuracy"), None, "PLACES", optional=True),
            tr("Metres; empty: accuracy_m, else radius_m, where there is one."),
        ),
        advanced(
            QgsProcessingParameterBoolean("OVERWRITE", tr("Replace copies in the folder"), False),
            tr("Replaces copies of the same name in the folder; other files there stay. Originals are never replaced."),
        ),
        output_parameter(tr, tr("Folder for the copies. Made if absent; not the folder of the originals.")),
    ]


def place_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What ``samescene:photo_place`` gives besides the folder."""
    return [
        QgsProcessingOutputFile("COPY", tr("The copy (the first of several)")),
        QgsProcessingOutputNumber("WRITTEN", tr("Copies written")),
        QgsProcessingOutputNumber("SKIPPED", tr("Photos skipped")),
    ]
