"""Parameters that several algorithms have, and short ways to write one with its help."""

from __future__ import annotations

from collections.abc import Callable

from qgis.core import (
    QgsProcessing,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
    QgsProcessingParameterFolderDestination,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
)

from ..engine_client.settings import plugin_root

Tr = Callable[[str], str]

DEVICES = ("auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "mps")
DIALOG_ONLY = ("MODEL_FOLDER", "LEGEND_FILE", "ALLOCATION_NUMBERS", "ENCODER_FOLDER")
"""Parameters that stand beside a list because QGIS's dialog lets nobody type into one; forms give the text itself."""
UNITS = ("auto", "db", "power", "amplitude")


def legend_names() -> list[str]:
    """Names of the legends that ship, ESA WorldCover first."""
    names = sorted(path.stem for path in (plugin_root() / "resources" / "legends").glob("*.json"))
    return sorted(names, key=lambda name: name != "worldcover")


def raster(name: str, title: str, text: str, *, optional: bool = True) -> QgsProcessingParameterDefinition:
    """A raster layer with its help."""
    return helped(QgsProcessingParameterRasterLayer(name, title, None, optional), text)


def number(
    name: str, title: str, default: float | None, *, low: float, high: float | None = None, whole: bool = False
) -> QgsProcessingParameterDefinition:
    """A number with bounds; optional where it has no default."""
    kinds = QgsProcessingParameterNumber.Type
    item = QgsProcessingParameterNumber(name, title, kinds.Integer if whole else kinds.Double, default, default is None)
    item.setMinimum(low)
    if high is not None:
        item.setMaximum(high)
    return item


def choice(name: str, title: str, names: tuple[str, ...]) -> QgsProcessingParameterDefinition:
    """One of ``names``, the first by default."""
    return QgsProcessingParameterEnum(name, title, list(names), False, names[0], False, usesStaticStrings=True)


def helped(item: QgsProcessingParameterDefinition, text: str) -> QgsProcessingParameterDefinition:
    """The parameter with ``text`` as its help."""
    if text:
        item.setHelp(text)
    return item


def hinted(item: QgsProcessingParameterDefinition, choices: list[str], text: str) -> QgsProcessingParameterDefinition:
    """A text with ``choices`` offered; QGIS's dialog takes no other, scripts and the dock may give any."""
    item.setMetadata({"widget_wrapper": {"value_hints": choices}})
    return helped(item, text)


def advanced(item: QgsProcessingParameterDefinition, text: str) -> QgsProcessingParameterDefinition:
    """The parameter under "Advanced"."""
    item.setFlags(item.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return helped(item, text)


def area_parameters(tr: Tr, *, extent: str, polygons: str) -> list[QgsProcessingParameterDefinition]:
    """AOI_EXTENT and AOI_LAYER with their helps."""
    kinds = [QgsProcessing.SourceType.TypeVectorPolygon]
    return [
        helped(QgsProcessingParameterExtent("AOI_EXTENT", tr("Area of interest: extent"), None, True), extent),
        helped(
            QgsProcessingParameterFeatureSource("AOI_LAYER", tr("Area of interest: polygons"), kinds, None, True),
            polygons,
        ),
    ]


def zone_parameters(tr: Tr, text: str) -> list[QgsProcessingParameterDefinition]:
    """ZONES with its help, and ZONE_FIELD."""
    kinds = [QgsProcessing.SourceType.TypeVectorPolygon]
    return [
        helped(QgsProcessingParameterFeatureSource("ZONES", tr("Zones"), kinds, None, True), text),
        helped(
            QgsProcessingParameterField("ZONE_FIELD", tr("Zone field"), None, "ZONES", optional=True),
            tr("Field that identifies a zone; without one the feature id does."),
        ),
    ]


def load_parameter(tr: Tr) -> QgsProcessingParameterDefinition:
    """LOAD_RESULTS."""
    return helped(
        QgsProcessingParameterBoolean("LOAD_RESULTS", tr("Load the results into the project"), True),
        tr("Adds the maps to the project: grouped, named, with styles, legend and time."),
    )


def model_folder_parameter(tr: Tr, text: str) -> QgsProcessingParameterDefinition:
    """MODEL_FOLDER, a bundle that stands in for a model by name."""
    behavior = QgsProcessingParameterFile.Behavior.Folder
    return advanced(QgsProcessingParameterFile("MODEL_FOLDER", tr("Model folder"), behavior, "", None, True), text)


def legend_parameters(tr: Tr, text: str) -> list[QgsProcessingParameterDefinition]:
    """LEGEND by name with its help, and LEGEND_FILE: what QGIS offers as a list cannot be typed into."""
    kind = QgsProcessingParameterFile.Behavior.File
    return [
        advanced(
            hinted(QgsProcessingParameterString("LEGEND", tr("Legend"), None, False, True), ["", *legend_names()], ""),
            text,
        ),
        advanced(
            QgsProcessingParameterFile("LEGEND_FILE", tr("Legend file"), kind, "json", None, True),
            tr("A legend of your own (JSON) instead of one by name; those in resources/legends are examples."),
        ),
    ]


def units_parameter(tr: Tr) -> QgsProcessingParameterDefinition:
    """UNITS of Sentinel-1."""
    return advanced(
        choice("UNITS", tr("Unit of the scenes"), UNITS),
        tr(
            "What the values of Sentinel-1 scenes are: db (decibel), power (linear sigma0) or amplitude (its square "
            "root). auto finds it from metadata and values, says so in the log, and refuses what is unclear."
        ),
    )


def observed_parameter(tr: Tr) -> QgsProcessingParameterDefinition:
    """OBSERVED_AT, the acquisition time."""
    return advanced(
        QgsProcessingParameterString("OBSERVED_AT", tr("Acquisition time (ISO 8601, UTC)"), None, False, True),
        tr("When the scene was taken, where the file does not tell, for example 2021-07-16T05:42:00Z."),
    )


def device_parameter(tr: Tr) -> QgsProcessingParameterDefinition:
    """DEVICE."""
    return advanced(
        hinted(QgsProcessingParameterString("DEVICE", tr("Device"), DEVICES[0]), list(DEVICES), ""),
        tr("Where a model computes: auto takes a usable GPU, else the processor. cuda:N is the N-th NVIDIA GPU."),
    )


def overwrite_parameter(tr: Tr) -> QgsProcessingParameterDefinition:
    """OVERWRITE."""
    return advanced(
        QgsProcessingParameterBoolean("OVERWRITE", tr("Replace results in the folder"), False),
        tr(
            "Replaces results of an earlier run in the output folder; other files there stay. Without it a folder "
            "that is not empty is refused."
        ),
    )


def output_parameter(tr: Tr, text: str) -> QgsProcessingParameterDefinition:
    """OUTPUT, the results folder."""
    return helped(QgsProcessingParameterFolderDestination("OUTPUT", tr("Results folder")), text)
