"""The Processing algorithm ``samescene:flood``: ``engine flood`` with layers of QGIS for files."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from ..engine_client.command_line import engine_command
from ..engine_client.failure import EngineCancelled, EngineFailure
from ..engine_client.locate import EngineLocation, find_engine
from ..engine_client.proxy import proxy_variables
from ..engine_client.runs import RunRegistry
from ..engine_client.settings import EngineSettings, plugin_root
from .flood_checks import flood_faults
from .flood_parameters import flood_outputs, flood_parameters, model_names
from .flood_request import FloodPreparation, PreparedRun
from .layer_files import LayerFault
from .texts import flood_help

JOB = "flood"
_FILES = {
    "FLOOD": "flood.tif",
    "WATER_PROBABILITY": "water_probability.tif",
    "EXCLUDED": "excluded.tif",
    "REPORT": "report.html",
    "RESULT": "result.json",
}
_LAYER_OUTPUTS = {
    "flood": "FLOOD",
    "probability": "WATER_PROBABILITY",
    "excluded": "EXCLUDED",
    "polygons": "POLYGONS",
    "zones": "FLOODED_ZONES",
}


class FloodAlgorithm(QgsProcessingAlgorithm):
    """Checks and hands over in the main thread, computes in the worker thread, loads in the main thread again."""

    def __init__(self, registry: RunRegistry) -> None:
        super().__init__()
        self._registry = registry
        self._engine: EngineLocation | None = None
        self._run: PreparedRun | None = None
        self._result: dict[str, Any] | None = None
        self._proxy: dict[str, str] = {}
        self._load = True

    def createInstance(self):
        return FloodAlgorithm(self._registry)

    def name(self):
        return "flood"

    def displayName(self):
        return self.tr("Flood map from Sentinel-1 or Sentinel-2")

    def group(self):
        return self.tr("Mapping")

    def groupId(self):
        return "mapping"

    def tags(self):
        return self.tr("flood,water,inundation,sentinel-1,sentinel-2,sar,radar,threshold,samescene").split(",")

    def icon(self):
        return QIcon(str(plugin_root() / "resources" / "icons" / "flood.svg"))

    def shortDescription(self):
        return self.tr("Maps water and flood from Sentinel-1 or Sentinel-2, with probability, polygons and a report.")

    def shortHelpString(self):
        return flood_help(self.tr)

    def helpUrl(self):
        return ""

    def tr(self, text: str) -> str:
        """The text in the user's language."""
        return QCoreApplication.translate("SameScene", text)

    def initAlgorithm(self, configuration=None):
        for parameter in flood_parameters(self.tr, models=model_names(plugin_root())):
            self.addParameter(parameter)
        for output in flood_outputs(self.tr):
            self.addOutput(output)

    def checkParameterValues(self, parameters, context):
        good, message = super().checkParameterValues(parameters, context)
        if not good:
            return good, message
        try:
            find_engine(EngineSettings())
        except EngineFailure as failure:
            return False, failure.line
        fault = next(flood_faults(self, parameters, context), "")
        return not fault, fault

    def prepareAlgorithm(self, parameters, context, feedback):
        # Models and scripts run an algorithm without checkParameterValues.
        try:
            self._engine = find_engine(EngineSettings())
            fault = next(flood_faults(self, parameters, context), "")
            if fault:
                raise QgsProcessingException(fault)
            self._run = FloodPreparation(self, parameters, context).prepare()
        except (EngineFailure, LayerFault) as failure:
            raise QgsProcessingException(str(failure)) from failure
        self._proxy = proxy_variables()
        self._load = self.parameterAsBool(parameters, "LOAD_RESULTS", context)
        return True

    def processAlgorithm(self, parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback):
        run, engine = self._run, self._engine
        if run is None or engine is None:
            raise QgsProcessingException(self.tr("The algorithm was not prepared."))
        registry = self._registry
        run_id = registry.add(JOB, run.title, run.params)
        watch = _Watch(registry, run_id, feedback)
        feedback.pushCommandInfo(engine_command(JOB, run.params))
        registry.log(run_id, "info", engine_command(JOB, run.params))
        watch.log("info", f"Engine: {engine.described}")
        for level, line in run.notes:
            watch.log(level, line)
        registry.start(run_id)
        try:
            result = engine.process(self._proxy).run_job(
                JOB, run.params, on_progress=watch.progress, on_log=watch.log, is_cancelled=watch.is_cancelled
            )
        except EngineCancelled as stop:
            registry.was_cancelled(run_id)
            raise QgsProcessingException(self.tr("Cancelled; nothing was written.")) from stop
        except EngineFailure as failure:
            if failure.details:
                feedback.pushDebugInfo(failure.details)
            registry.failed(run_id, failure.line)
            raise QgsProcessingException(failure.line) from failure
        except BaseException as defect:
            registry.failed(run_id, f"{type(defect).__name__}: {defect}")
            raise
        from ..layers.results import write_styles

        for line in write_styles(result, run.params["out"]):
            watch.log("warning", line)
        registry.done(run_id, result)
        self._result = result
        feedback.setProgress(100)
        return results_of(result, run.params["out"])

    def postProcessAlgorithm(self, context, feedback):
        if self._result is not None and self._run is not None and self._load and context.project() is not None:
            from ..layers.results import add_to_context

            held = add_to_context(self._result, self._run.params["out"], context, _LAYER_OUTPUTS)
            self._registry.hold(*held)
        return {}


def results_of(result: dict[str, Any], out: str) -> dict[str, Any]:
    """The outputs of the algorithm from the engine's result; only what was made is named."""
    made = set((result.get("outputs") or {}).values())
    outputs: dict[str, Any] = {"OUTPUT": out}
    outputs.update({name: f"{out}/{file}" for name, file in _FILES.items() if file in made})
    outputs["RESULT"] = f"{out}/result.json"
    figures = result.get("figures") or {}
    if "flood.gpkg" in made:
        outputs["POLYGONS"] = f"{out}/flood.gpkg|layername=polygons"
        if figures.get("zones"):
            outputs["FLOODED_ZONES"] = f"{out}/flood.gpkg|layername=zones"
    areas = figures.get("area_m2") or {}
    outputs["FLOOD_M2"], outputs["WATER_M2"] = areas.get("flood"), areas.get("water")
    outputs["OBSERVED_PERCENT"] = figures.get("observed_percent")
    return outputs


class _Watch:
    """Passes what the engine tells on to the dialog and the list of runs, and the user's cancel of either back."""

    def __init__(self, registry: RunRegistry, run_id: str, feedback: QgsProcessingFeedback) -> None:
        self._registry, self._run_id, self._feedback = registry, run_id, feedback
        self._stage = ""

    def progress(self, fraction: float, stage: str, message: str) -> None:
        self._feedback.setProgress(100 * fraction)
        if stage != self._stage:
            self._stage = stage
            self._feedback.setProgressText(message or stage)
        self._registry.progress(self._run_id, fraction, stage, message)

    def log(self, level: str, line: str) -> None:
        if level == "warning":
            self._feedback.pushWarning(line)
        else:
            self._feedback.pushInfo(line)
        self._registry.log(self._run_id, level, line)

    def is_cancelled(self) -> bool:
        if self._registry.cancel_requested(self._run_id) and not self._feedback.isCanceled():
            self._feedback.cancel()
        return self._feedback.isCanceled()
