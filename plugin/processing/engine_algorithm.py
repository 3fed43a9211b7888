"""The frame of every algorithm that is a job of the engine: check, hand over, run, style, load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputDefinition,
    QgsProcessingParameterDefinition,
)
from qgis.PyQt.QtCore import QCoreApplication
from qgis.PyQt.QtGui import QIcon

from ..engine_client.command_line import engine_command
from ..engine_client.failure import EngineCancelled, EngineFailure
from ..engine_client.locate import EngineLocation, find_engine
from ..engine_client.proxy import proxy_variables
from ..engine_client.runs import RunRegistry
from ..engine_client.settings import EngineSettings, plugin_root
from .layer_files import LayerFault
from .preparation import PreparedRun
from .run_watch import RunWatch


class EngineAlgorithm(QgsProcessingAlgorithm):
    """Checks and hands over in the main thread, computes in the worker thread, loads in the main thread again.

    An algorithm sets :attr:`job`, :attr:`icon_name` and :attr:`layer_outputs`, and gives its texts,
    :meth:`definitions`, :meth:`output_definitions`, :meth:`faults`, :meth:`prepared` and :meth:`results_of`.
    """

    job = ""
    """Name of the engine's job."""
    icon_name = "samescene"
    """File in resources/icons, without ending."""
    layer_outputs: dict[str, str] = {}  # noqa: RUF012 - read only
    """Role of a layer of the result → the output that names it."""
    cancelled = "Cancelled; nothing was written."
    """What is said of a run that the user stopped."""

    def __init__(self, registry: RunRegistry) -> None:
        super().__init__()
        self._registry = registry
        self._engine: EngineLocation | None = None
        self._run: PreparedRun | None = None
        self._result: dict[str, Any] | None = None
        self._proxy: dict[str, str] = {}
        self._load = False

    # what an algorithm gives

    def definitions(self) -> list[QgsProcessingParameterDefinition]:
        """The parameters in the order of the dialog."""
        raise NotImplementedError

    def output_definitions(self) -> list[QgsProcessingOutputDefinition]:
        """The outputs besides the folder."""
        raise NotImplementedError

    def faults(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Iterator[str]:
        """What can be told to be wrong before the run, one line a fault, most telling first; reads no pixels."""
        raise NotImplementedError

    def early_faults(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Iterator[str]:
        """Faults that QGIS's own check would name less clearly."""
        return iter(())

    def prepared(self, parameters: dict[str, Any], context: QgsProcessingContext) -> PreparedRun:
        """The engine's request, layers turned into files; raises LayerFault."""
        raise NotImplementedError

    def understood(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """The parameters as QGIS understands them, where scripts may write more than its dialog can."""
        return parameters

    def told(self, result: dict[str, Any]) -> list[tuple[str, str]]:
        """(level, line) that sum a result up at the end of the log."""
        return []

    def results_of(self, result: dict[str, Any], out: str) -> dict[str, Any]:
        """The values of the outputs from the engine's result; only what was made is named."""
        raise NotImplementedError

    # what QGIS asks

    def createInstance(self):
        return type(self)(self._registry)

    def group(self):
        return self.tr("Mapping")

    def groupId(self):
        return "mapping"

    def icon(self):
        return QIcon(str(plugin_root() / "resources" / "icons" / f"{self.icon_name}.svg"))

    def helpUrl(self):
        return ""

    def tr(self, text: str) -> str:
        """The text in the user's language."""
        return QCoreApplication.translate("SameScene", text)

    def initAlgorithm(self, configuration=None):
        for parameter in self.definitions():
            self.addParameter(parameter)
        for output in self.output_definitions():
            self.addOutput(output)

    def checkParameterValues(self, parameters, context):
        parameters = self.understood(parameters)
        fault = next(self.early_faults(parameters, context), "")
        if fault:
            return False, fault
        good, message = super().checkParameterValues(parameters, context)
        if not good:
            return good, message
        try:
            find_engine(EngineSettings())
        except EngineFailure as failure:
            return False, failure.line
        fault = next(self.faults(parameters, context), "")
        return not fault, fault

    def prepareAlgorithm(self, parameters, context, feedback):
        fault = self._prepare(self.understood(parameters), context)
        del parameters, context, feedback  # see _refuse
        return _refuse(fault) if fault else True

    def _prepare(self, parameters, context) -> str:
        """Get ready; what is wrong, in one line, else the empty string."""
        # Models and scripts run an algorithm without checkParameterValues.
        try:
            self._engine = find_engine(EngineSettings())
            fault = next(self.faults(parameters, context), "")
            if fault:
                return fault
            self._run = self.prepared(parameters, context)
        except (EngineFailure, LayerFault) as failure:
            return str(failure)
        self._proxy = proxy_variables()
        loads = self.parameterDefinition("LOAD_RESULTS") is not None
        self._load = loads and self.parameterAsBool(parameters, "LOAD_RESULTS", context)
        return ""

    def processAlgorithm(self, parameters, context: QgsProcessingContext, feedback: QgsProcessingFeedback):
        outputs, fault = self._process(feedback)
        del parameters, context, feedback  # see _refuse
        return _refuse(fault) if fault else outputs

    def _process(self, feedback: QgsProcessingFeedback) -> tuple[dict[str, Any], str]:
        """Run the engine: the outputs, or none and what went wrong in one line."""
        run, engine = self._run, self._engine
        if run is None or engine is None:
            return {}, self.tr("The algorithm was not prepared.")
        registry = self._registry
        run_id = registry.add(self.job, run.title, run.params)
        watch = RunWatch(registry, run_id, feedback)
        feedback.pushCommandInfo(engine_command(self.job, run.params))
        registry.log(run_id, "info", engine_command(self.job, run.params))
        watch.log("info", f"Engine: {engine.described}")
        for level, line in run.notes:
            watch.log(level, line)
        registry.start(run_id)
        done = False
        try:
            process = engine.process(self._proxy)
            if run.before is not None:
                run.before(process, watch)
            result = process.run_job(
                self.job, run.params, on_progress=watch.progress, on_log=watch.log, is_cancelled=watch.is_cancelled
            )
            done = True
        except EngineCancelled:
            registry.was_cancelled(run_id)
            return {}, self.tr(self.cancelled)
        except EngineFailure as failure:
            if failure.details:
                feedback.pushDebugInfo(failure.details)
            registry.failed(run_id, failure.line)
            return {}, failure.line
        except LayerFault as fault:
            registry.failed(run_id, str(fault))
            return {}, str(fault)
        except BaseException as defect:
            registry.failed(run_id, f"{type(defect).__name__}: {defect}")
            raise
        finally:
            if not done:
                run.undone()
            run.finished()
        from ..layers.results import write_styles

        for line in write_styles(result, run.params["out"]):
            watch.log("warning", line)
        for level, line in self.told(result):
            watch.log(level, line)
        registry.done(run_id, result)
        self._result = result
        feedback.setProgress(100)
        return {"OUTPUT": run.params["out"], **self.results_of(result, run.params["out"])}, ""

    def postProcessAlgorithm(self, context, feedback):
        if self._result is not None and self._run is not None and self._load and context.project() is not None:
            from ..layers.results import add_to_context

            held = add_to_context(self._result, self._run.params["out"], context, self.layer_outputs)
            self._registry.hold(*held)
        return {}


def _refuse(fault: str) -> NoReturn:
    """End the run with one line.

    QGIS's bindings keep an exception that was raised, and with it the variables of the frames that it came through,
    until QGIS ends: whoever calls this lets go of layers first, or they outlive the application and crash it at exit.
    """
    raise QgsProcessingException(fault)


def made_files(result: dict[str, Any], out: str, files: dict[str, str]) -> dict[str, str]:
    """Output → path of those of ``files`` (output → name in the folder) that the run made."""
    made = set((result.get("outputs") or {}).values())
    return {name: f"{out}/{file}" for name, file in files.items() if file in made}


def made_tables(result: dict[str, Any], out: str, tables: dict[str, str]) -> dict[str, str]:
    """Output → source of those of ``tables`` (output → ``file.gpkg|layername=x``) whose file the run made."""
    made = set((result.get("outputs") or {}).values())
    return {name: f"{out}/{table}" for name, table in tables.items() if table.split("|")[0] in made}
