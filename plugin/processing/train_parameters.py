"""The parameters and outputs of ``samescene:train_landcover``: ``engine finetune --task landcover`` on own labels."""

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
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
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
)

HEADS = ("auto", "pixel", "network")

FIELDS = {
    "scene": ("SCENES",),
    "labels_from": ("LABELS",),
    "class_field": ("CLASS_FIELD",),
    "class_colors": ("CLASS_COLORS",),
    "name": ("MODEL_NAME",),
    "register_as": ("MODEL_NAME", "REGISTER"),
    "point_size": ("WIDE_POINTS",),
    "head": ("HEAD",),
    "encoder": ("ENCODER", "ENCODER_FOLDER"),
    "block_m": ("BLOCK_M",),
    "time_limit": ("TIME_LIMIT",),
    "seed": ("SEED",),
    "device": ("DEVICE",),
    "overwrite": ("OVERWRITE",),
    "out": ("OUTPUT",),
}
"""The parameters that fill the fields of the engine's FinetuneRequest that are used here."""


def train_parameters(tr: Tr, *, models: list[str]) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    kinds = [QgsProcessing.SourceType.TypeVectorPolygon, QgsProcessing.SourceType.TypeVectorPoint]
    folder = QgsProcessingParameterFile.Behavior.Folder
    return [
        helped(
            QgsProcessingParameterMultipleLayers(
                "SCENES", tr("Scenes"), QgsProcessing.SourceType.TypeRaster, None, False
            ),
            tr("A Sentinel-2 image, a Sentinel-1 scene, or both, as for a map; the bands of one sensor may lie in "
               "several files."),
        ),
        helped(
            QgsProcessingParameterFeatureSource("LABELS", tr("Labels"), kinds, None, False),
            tr("Polygons or points of known land cover, on the scene; any CRS. Several places for each class: part of "
               "them is kept to measure the model."),
        ),
        helped(
            QgsProcessingParameterField("CLASS_FIELD", tr("Class field"), "class", "LABELS"),
            tr("Field that holds the class: a number from 1 to 254, or a name. Names and colours of the classes are "
               "those of the layer's categories, where it is drawn by this field; else of the legend that "
               "the values are of, or chosen by name."),
        ),
        helped(
            QgsProcessingParameterString("MODEL_NAME", tr("Name of the model"), "my-landcover"),
            tr("Small letters, digits, '.', '_' and '-', up to 64; the model list shows it."),
        ),
        helped(
            QgsProcessingParameterBoolean("REGISTER", tr("Add the model to the list of models"), True),
            tr("Keeps a copy among your own models, so that 'Land cover' offers it by name. An earlier one of the same "
               "name is replaced only with 'Replace results in the folder'."),
        ),
        advanced(
            QgsProcessingParameterString("CLASS_COLORS", tr("Codes, names and colours"), None, True, True),
            tr('JSON: value of the class field → {"code", "name", "color"}, for example {"wood": {"code": 10, "name": '
               '"Tree cover", "color": "#006400"}}. Empty: from the layer, as the class field says.'),
        ),
        advanced(
            QgsProcessingParameterBoolean("WIDE_POINTS", tr("Points stand for 3 × 3 pixels"), False),
            tr("A point labels the pixels around it too, not only the one that holds it."),
        ),
        advanced(
            choice("HEAD", tr("Kind of model"), HEADS),
            tr("pixel: a small model of pixels, their surroundings and the features of a pretrained model, in seconds; "
               "network: a whole network is trained; auto: pixel, unless labels are many."),
        ),
        advanced(
            hinted(QgsProcessingParameterString("ENCODER", tr("Start from"), "auto"), ["auto", "random", *models], ""),
            tr("Pretrained model whose features are used: auto takes the one that comes with SameScene where it fits; "
               "random: none; or a model by name."),
        ),
        advanced(
            QgsProcessingParameterFile("ENCODER_FOLDER", tr("Start from the folder"), folder, "", None, True),
            tr("The folder of a model, or of a run of 'engine pretrain', instead of a model by name."),
        ),
        advanced(
            number("BLOCK_M", tr("Side of the blocks (m)"), None, low=1),
            tr("Labels are split into training and validation by squares of this side, never by pixel. Empty: chosen "
               "by the extent of the labels."),
        ),
        advanced(
            number("TIME_LIMIT", tr("Time limit (minutes)"), None, low=0.1),
            tr("A network is trained for at most this long, and the best so far is kept. Empty: no limit."),
        ),
        advanced(
            number("SEED", tr("Seed"), 0, low=0, high=2**31 - 1, whole=True),
            tr("Seed of weights, order and split."),
        ),
        device_parameter(tr),
        overwrite_parameter(tr),
        output_parameter(tr, tr("Folder of the training run: the model, its curve and its report. Made if absent.")),
    ]  # fmt: skip


def train_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder."""
    return [
        QgsProcessingOutputString("MODEL", tr("Model (name, or folder where it is not listed)")),
        QgsProcessingOutputFolder("MODEL_FOLDER", tr("Folder of the model")),
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputNumber("OVERALL_ACCURACY", tr("Overall accuracy on the validation blocks (0–1)")),
    ]
