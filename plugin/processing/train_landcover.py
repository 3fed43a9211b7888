"""The Processing algorithm ``samescene:train_landcover``: a land-cover model from one's own labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsRasterLayer, QgsWkbTypes

from ..compat import scoped
from ..engine_client.settings import plugin_root, user_models_folder
from .checks import folder_faults, meet
from .engine_algorithm import EngineAlgorithm, made_files
from .label_classes import MOST_CLASSES, class_colors_fault, class_colors_json, is_drawn_by, label_classes
from .landcover_checks import scene_faults, unopened_scenes
from .layer_files import LayerFault
from .model_names import model_folders, model_names
from .preparation import Preparation, PreparedRun
from .texts import train_help
from .train_parameters import train_outputs, train_parameters

_GEOMETRIES = (
    scoped((Qgis, "GeometryType.Polygon"), (QgsWkbTypes, "GeometryType.PolygonGeometry")),
    scoped((Qgis, "GeometryType.Point"), (QgsWkbTypes, "GeometryType.PointGeometry")),
)
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")


class TrainPreparation(Preparation):
    """The request of ``engine finetune --task landcover`` from scenes and labels."""

    scene = "SCENES"
    what = {"SCENES": "Scenes", "LABELS": "Labels"}  # noqa: RUF012 - read only

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        field, name = self.text("CLASS_FIELD"), self.text("MODEL_NAME")
        params: dict[str, Any] = {
            "task": "landcover",
            "scene": self.rasters("SCENES"),
            "labels_from": self.features("LABELS", field=field, kind="labels"),
            "class_field": field,
        }
        colors = self.class_colors()
        if colors:
            params["class_colors"] = colors
        if self.flag("WIDE_POINTS"):
            params["point_size"] = 3
        params.update(self.options("HEAD", "ENCODER"))
        if self.text("ENCODER_FOLDER"):
            params["encoder"] = str(Path(self.text("ENCODER_FOLDER")).absolute())
        params.update(self.options("BLOCK_M", "TIME_LIMIT", "SEED"))
        params["name"] = name
        if self.flag("REGISTER"):
            params["register_as"] = name
        params.update(self.options("DEVICE"))
        params.update(self.destination())
        return PreparedRun(params, f"Land-cover model – {name}", self.notes)

    def class_colors(self) -> str:
        """CLASS_COLORS as given, else from the layer's categories; empty where there are none."""
        given = self.text("CLASS_COLORS")
        if given:
            return given
        layer = self.vector_layer("LABELS")
        source = self.algorithm.parameterAsSource(self.parameters, "LABELS", self.context)
        if source is None:
            raise LayerFault("Labels: the layer or file cannot be opened.")
        if not is_drawn_by(layer, self.text("CLASS_FIELD")):
            return ""
        return class_colors_json(label_classes(layer, source, self.text("CLASS_FIELD")))


def train_faults(look: TrainPreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Opens layers but reads no pixels."""
    layers: list[QgsRasterLayer] = []
    yield from scene_faults(look, layers)
    yield from _label_faults(look, layers[0] if layers else None)
    colors = look.text("CLASS_COLORS")
    fault = class_colors_fault(colors) if colors else ""
    if fault:
        yield fault
    name = look.text("MODEL_NAME")
    if not _NAME.match(name):
        yield f"Name of the model: '{name}' is no name. Use small letters, digits, '.', '_' and '-', up to 64."
    elif look.flag("REGISTER") and name in _others_names():
        yield f"Name of the model: '{name}' belongs to a model that is not your own. Choose another name."
    elif look.flag("REGISTER") and (user_models_folder() / name).exists() and not look.flag("OVERWRITE"):
        yield (
            f"Name of the model: there is a model '{name}' among your own already. Choose another name, or tick "
            "'Replace results in the folder' under the advanced parameters."
        )
    if look.text("ENCODER_FOLDER") and look.text("ENCODER") not in ("", "auto"):
        yield f"Start from: both '{look.text('ENCODER')}' and a folder are given. Set it to auto, or clear the folder."
    yield from folder_faults(look)


def _others_names() -> set[str]:
    """Names of models that are not the user's own, of any task."""
    own, root = user_models_folder(), plugin_root()
    folders = [folder for folder in model_folders(root) if folder != own]
    return {card.parent.name for folder in folders for card in folder.glob("*/card.json")}


def _label_faults(look: TrainPreparation, scene: QgsRasterLayer | None) -> Iterator[str]:
    source = look.algorithm.parameterAsSource(look.parameters, "LABELS", look.context)
    if source is None:
        yield "Labels: the layer or file cannot be opened as polygons or points."
        return
    called = source.sourceName()
    if QgsWkbTypes.geometryType(source.wkbType()) not in _GEOMETRIES:
        yield f"Labels: the layer '{called}' has neither polygons nor points. Choose a layer of either."
    elif not source.sourceCrs().isValid():
        yield f"Labels: the layer '{called}' has no CRS. Set it in the layer's properties."
    elif source.featureCount() == 0:
        yield f"Labels: the layer '{called}' has no features to use. Select or draw some."
    elif scene is not None and not meet(scene, source.sourceExtent(), source.sourceCrs(), look.context):
        yield f"Labels: the layer '{called}' lies outside the scene '{scene.name()}'."
    field = look.text("CLASS_FIELD")
    if source.fields().lookupField(field) < 0:
        listed = ", ".join(source.fields().names()) or "none"
        yield f"Class field: the labels have no field '{field}'; found: {listed}."
        return
    layer = look.vector_layer("LABELS")
    if layer is not None and layer.fields().lookupField(field) in layer.primaryKeyAttributes():
        yield f"Class field: '{field}' numbers the features and holds no classes. Choose the field of the class."
    classes = label_classes(layer, source, field)
    if len(classes) < 2:
        found = f"only the class '{classes[0].value}'" if classes else "no class at all"
        yield f"Class field: '{field}' holds {found}; a model needs labels of at least two classes."
    elif len(classes) > MOST_CLASSES:
        yield (
            f"Class field: '{field}' holds {len(classes)} different values; a map has at most {MOST_CLASSES} classes. "
            "Choose the field of the class."
        )


class TrainLandcoverAlgorithm(EngineAlgorithm):
    """A model for land cover from scenes and labels of one's own."""

    job = "finetune"
    icon_name = "train-landcover"

    def name(self):
        return "train_landcover"

    def displayName(self):
        return self.tr("Train a land-cover model on own labels")

    def group(self):
        return self.tr("Training")

    def groupId(self):
        return "training"

    def tags(self):
        return self.tr("land cover,train,classification,supervised,labels,polygons,sentinel-2,samescene").split(",")

    def shortDescription(self):
        return self.tr("Trains a model from scenes and labelled polygons or points, and measures it on blocks apart.")

    def shortHelpString(self):
        return train_help(self.tr)

    def definitions(self):
        return train_parameters(self.tr, models=model_names(plugin_root(), "landcover"))

    def output_definitions(self):
        return train_outputs(self.tr)

    def early_faults(self, parameters, context):
        return unopened_scenes(TrainPreparation(self, parameters, context))

    def faults(self, parameters, context):
        return train_faults(TrainPreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return TrainPreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        overall = figures.get("overall_accuracy") or {}
        return {
            **made_files(result, out, {"REPORT": "report.html", "RESULT": "result.json"}),
            "MODEL": (result.get("registered") or {}).get("name") or f"{out}/model",
            "MODEL_FOLDER": f"{out}/model",
            "OVERALL_ACCURACY": overall.get("value") if isinstance(overall, dict) else overall,
        }
