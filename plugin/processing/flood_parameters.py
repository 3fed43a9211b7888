"""The parameters and outputs of ``samescene:flood``: one parameter for every field of the engine's request."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
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

Tr = Callable[[str], str]

RASTERS = ("POST", "BEFORE", "S2", "SCL", "REFERENCE_WATER", "DEM", "HAND")
UNITS = ("auto", "db", "power", "amplitude")
DEVICES = ("auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:2", "cuda:3", "mps")
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


def model_names(root: Path) -> list[str]:
    """Names of the flood models that the engine would find, from their cards; broken bundles are left out."""
    given = [Path(folder) for folder in os.environ.get("SAMESCENE_MODELS", "").split(os.pathsep) if folder]
    names = []
    for folder in (*given, root / "resources" / "models"):
        for card in sorted(folder.glob("*/card.json")):
            try:
                task = json.loads(card.read_text(encoding="utf-8")).get("task")
            except (OSError, ValueError, AttributeError):
                task = None
            if task == "flood" and card.parent.name not in names:
                names.append(card.parent.name)
    return names


def flood_parameters(tr: Tr, *, models: list[str]) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    polygons = [QgsProcessing.SourceType.TypeVectorPolygon]
    items = [
        _raster(
            "POST",
            tr("Scene after"),
            tr("Sentinel-1 scene during or after the event with bands VV and VH; either alone is enough. sigma0 or "
               "gamma0, terrain-corrected. With a model for it, a Sentinel-2 image with named bands (B02, B03, …)."),
            optional=False,
        ),
        _raster(
            "BEFORE",
            tr("Scene before"),
            tr("Scene before the event, of the same sensor, best of the same relative orbit. Its water is reference "
               "water, and change between the scenes helps to find flood. It may have another grid, but must overlap."),
        ),
        _raster(
            "REFERENCE_WATER",
            tr("Reference water"),
            tr("Raster of permanent water: 1 water, 0 land, or per cent occurrence (50 and more is water). Without it "
               "and without a scene before, flood and permanent water cannot be told apart."),
        ),
        _raster("DEM", tr("Elevation (DEM)"), tr("Digital elevation model in metres. Sets aside steep slopes and radar "
                "shadow, and height above drainage is derived from it unless it is given.")),
        _raster("HAND", tr("Height above nearest drainage (HAND)"), tr("Raster of height above the nearest drainage in "
                "metres.")),
        _help(
            QgsProcessingParameterExtent("AOI_EXTENT", tr("Area of interest: extent"), None, True),
            tr("Only this rectangle is mapped. Leave both areas empty to map the whole scene."),
        ),
        _help(
            QgsProcessingParameterFeatureSource("AOI_LAYER", tr("Area of interest: polygons"), polygons, None, True),
            tr("Only these polygons are mapped; everything else is set aside. Give either an extent or polygons."),
        ),
        _help(
            QgsProcessingParameterFeatureSource("ZONES", tr("Zones"), polygons, None, True),
            tr("Polygons (for example districts) to report flooded area by, with a low and a high bound."),
        ),
        _help(
            QgsProcessingParameterField("ZONE_FIELD", tr("Zone field"), None, "ZONES", optional=True),
            tr("Field that identifies a zone; without one the feature id does."),
        ),
        _hints(
            QgsProcessingParameterString("METHOD", tr("Method"), METHODS[0]),
            [*METHODS, *models],
            tr("auto takes what measured better on validation data and says which; threshold needs no model and reads "
               "Sentinel-1; or the name of a model (those that are installed are offered) or a model folder."),
        ),
        _help(
            QgsProcessingParameterBoolean("LOAD_RESULTS", tr("Load the results into the project"), True),
            tr("Adds the maps to the project: grouped, named, with styles, legend and time."),
        ),
        _advanced(
            _raster("S2", tr("Sentinel-2 image beside the scene"), ""),
            tr("Only for models that map from both sensors: a Sentinel-2 image of about the same time, beside a "
               "Sentinel-1 scene. Any grid; bands by name (B02, B03, …)."),
        ),
        _advanced(
            _raster("SCL", tr("Scene classification (SCL)"), ""),
            tr("The SCL band of the Sentinel-2 image: what it calls cloud or cloud shadow is not mapped from that "
               "image. Without it clouds are mapped as they look."),
        ),
        _advanced(
            QgsProcessingParameterFile(
                "MODEL_FOLDER", tr("Model folder"), QgsProcessingParameterFile.Behavior.Folder, "", None, True
            ),
            tr("A model bundle (a folder with card.json and model.safetensors) instead of a method by name."),
        ),
        _advanced(
            QgsProcessingParameterEnum(
                "UNITS", tr("Unit of the scenes"), list(UNITS), False, UNITS[0], False, usesStaticStrings=True
            ),
            tr("What the values of Sentinel-1 scenes are: db (decibel), power (linear sigma0) or amplitude (its square "
               "root). auto finds it from metadata and values, says so in the log, and refuses what is unclear."),
        ),
        _advanced(
            QgsProcessingParameterString("BANDS", tr("Band numbers"), None, False, True),
            tr("Only where the file does not name its bands, for example VV=1,VH=2; of Sentinel-2 B03=2,B08=4."),
        ),
        _advanced(
            _number("PROBABILITY", tr("Water from probability (%)"), 50, low=1, high=99, whole=True),
            tr("Water where the probability is at least this per cent (1–99)."),
        ),
        _advanced(
            _number("MIN_AREA", tr("Smallest water body (m²)"), 2000.0, low=0),
            tr("Water bodies smaller than this, in square metres, are dropped; 0 keeps all."),
        ),
        _advanced(
            _number("MAX_HAND", tr("Highest water above drainage (m)"), 15.0, low=1e-6),
            tr("Water higher above the nearest drainage than this, in metres, is set aside (needs a DEM or HAND)."),
        ),
        _advanced(
            _number("MAX_SLOPE", tr("Steepest water (degrees)"), 5.0, low=1e-6, high=90),
            tr("Water on slopes steeper than this, in degrees, is set aside (needs a DEM)."),
        ),
        _advanced(
            QgsProcessingParameterString("OBSERVED_AT", tr("Acquisition time (ISO 8601, UTC)"), None, False, True),
            tr("When the scene was taken, where the file does not tell, for example 2021-07-16T05:42:00Z."),
        ),
        _advanced(
            _hints(QgsProcessingParameterString("DEVICE", tr("Device"), DEVICES[0]), list(DEVICES), ""),
            tr("Where a model computes: auto takes a usable GPU, else the processor. cuda:N is the N-th NVIDIA GPU."),
        ),
        _advanced(
            QgsProcessingParameterBoolean("OVERWRITE", tr("Replace results in the folder"), False),
            tr("Replaces results of an earlier run in the output folder; other files there stay. Without it a folder "
               "that is not empty is refused."),
        ),
        _help(
            QgsProcessingParameterFolderDestination("OUTPUT", tr("Results folder")),
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


def _raster(name: str, title: str, text: str, *, optional: bool = True) -> QgsProcessingParameterDefinition:
    return _help(QgsProcessingParameterRasterLayer(name, title, None, optional), text)


def _number(
    name: str, title: str, default: float, *, low: float, high: float | None = None, whole: bool = False
) -> QgsProcessingParameterDefinition:
    kinds = QgsProcessingParameterNumber.Type
    item = QgsProcessingParameterNumber(name, title, kinds.Integer if whole else kinds.Double, default)
    item.setMinimum(low)
    if high is not None:
        item.setMaximum(high)
    return item


def _help(item: QgsProcessingParameterDefinition, text: str) -> QgsProcessingParameterDefinition:
    if text:
        item.setHelp(text)
    return item


def _hints(item: QgsProcessingParameterDefinition, choices: list[str], text: str) -> QgsProcessingParameterDefinition:
    item.setMetadata({"widget_wrapper": {"value_hints": choices}})
    return _help(item, text)


def _advanced(item: QgsProcessingParameterDefinition, text: str) -> QgsProcessingParameterDefinition:
    item.setFlags(item.flags() | QgsProcessingParameterDefinition.Flag.FlagAdvanced)
    return _help(item, text)
