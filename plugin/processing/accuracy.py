"""The Processing algorithm ``samescene:accuracy``: ``engine assess report`` on labelled points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from qgis.core import Qgis, QgsVectorLayer, QgsWkbTypes

from ..compat import scoped
from .accuracy_parameters import accuracy_outputs, accuracy_parameters
from .checks import folder_faults, legend_fault, raster_layer_fault
from .engine_algorithm import EngineAlgorithm, made_files
from .layer_files import vector_needs_copy
from .preparation import Preparation, PreparedRun
from .texts import accuracy_help

_POINT = scoped((Qgis, "GeometryType.Point"), (QgsWkbTypes, "GeometryType.PointGeometry"))
_FILES = {
    "REPORT": "report.html",
    "MATRIX": "matrix.csv",
    "ACCURACY": "accuracy.csv",
    "AREA": "area.csv",
    "RESULT": "result.json",
}


class AccuracyPreparation(Preparation):
    """The request of ``engine assess report``."""

    scene = "MAP"
    what = {"SAMPLE_LAYER": "Labelled points", "MAP": "Map"}  # noqa: RUF012 - read only

    def layer(self) -> QgsVectorLayer | None:
        """The layer of labelled points; None when it is not given or cannot be opened."""
        if not self.given("SAMPLE_LAYER"):
            return None
        return self.vector_layer("SAMPLE_LAYER")

    def design_folder(self) -> str:
        """The folder of the sample: the one given, or that of the whole layer where a design lies beside its file."""
        folder = self.text("SAMPLE_FOLDER")
        if folder:
            return str(Path(folder).absolute())
        layer = self.layer()
        if layer is None or vector_needs_copy(layer, self.parameters["SAMPLE_LAYER"]):
            return ""
        parent = Path(layer.source().split("|")[0]).parent
        return str(parent.absolute()) if (parent / "design.json").is_file() else ""

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        folder = self.design_folder()
        params: dict[str, Any] = {
            "sample": folder or self.features("SAMPLE_LAYER", field=self.text("LABEL_FIELD"), kind="points")
        }
        raster = self.raster("MAP")
        if raster:
            params["map"] = raster
        params.update(self.options("LABEL_FIELD"))
        params.update(self.legend())
        params.update(self.options("CONFIDENT_ONLY"))
        params.update(self.destination())
        name = Path(folder).name if folder else self.text("SAMPLE_LAYER")
        layer = self.layer()
        return PreparedRun(params, f"Accuracy – {layer.name() if layer is not None else name}", self.notes)


def accuracy_faults(look: AccuracyPreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Opens layers but reads no pixels."""
    folder = look.text("SAMPLE_FOLDER")
    if not folder and not look.given("SAMPLE_LAYER"):
        yield "Labelled points: none are chosen. Choose the layer of points, or the folder of the sample."
    if folder and look.given("SAMPLE_LAYER"):
        yield "Labelled points: a layer and a folder are both given. Give one of them."
    if folder and not (Path(folder) / "design.json").is_file():
        yield f"Folder of the sample: {folder} holds no sample, it has no design.json."
    if look.given("SAMPLE_LAYER"):
        yield from _layer_faults(look)
    if look.given("MAP"):
        yield from raster_layer_fault(look.raster_layer("MAP"), what="Map")
    elif look.given("SAMPLE_LAYER") and not look.design_folder():
        yield (
            "Map: none is given, and the points do not lie in the folder of a sample that names one. Choose the map "
            "that is assessed."
        )
    yield from legend_fault(look)
    yield from folder_faults(look)


def _layer_faults(look: AccuracyPreparation) -> Iterator[str]:
    layer = look.layer()
    source = look.algorithm.parameterAsSource(look.parameters, "SAMPLE_LAYER", look.context)
    if source is None:
        yield "Labelled points: the layer or file cannot be opened as points."
        return
    if QgsWkbTypes.geometryType(source.wkbType()) != _POINT:
        yield f"Labelled points: the layer '{source.sourceName()}' has no points. Choose a point layer."
    elif not source.sourceCrs().isValid():
        yield f"Labelled points: the layer '{source.sourceName()}' has no CRS. Set it in the layer's properties."
    if layer is not None and layer.isEditable() and layer.isModified():
        yield f"Labelled points: the layer '{layer.name()}' has unsaved edits. Save them, then run again."
    field = look.text("LABEL_FIELD") or "label"
    if source.fields().lookupField(field) < 0:
        listed = ", ".join(source.fields().names()) or "none"
        yield f"Label field: the points have no field '{field}'; found: {listed}."


class AccuracyAlgorithm(EngineAlgorithm):
    """How good a map is, and how large its classes really are, from labelled points."""

    job = "assess-report"
    icon_name = "accuracy"

    def name(self):
        return "accuracy"

    def displayName(self):
        return self.tr("Accuracy and area from labelled points")

    def group(self):
        return self.tr("Accuracy")

    def groupId(self):
        return "accuracy"

    def tags(self):
        return self.tr("accuracy,error matrix,area,confidence interval,olofsson,validation,samescene").split(",")

    def shortDescription(self):
        return self.tr("Error matrix, accuracies and error-adjusted areas with 95 % intervals, as report and tables.")

    def shortHelpString(self):
        return accuracy_help(self.tr)

    def definitions(self):
        return accuracy_parameters(self.tr)

    def output_definitions(self):
        return accuracy_outputs(self.tr)

    def faults(self, parameters, context):
        return accuracy_faults(AccuracyPreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return AccuracyPreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        overall = figures.get("overall_accuracy") or {}
        return {
            **made_files(result, out, _FILES),
            "OVERALL_ACCURACY": overall.get("value"),
            "OVERALL_LOW": overall.get("low"),
            "OVERALL_HIGH": overall.get("high"),
            "LABELLED": (figures.get("points") or {}).get("used"),
        }
