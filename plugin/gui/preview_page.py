"""The Preview page: click a place, and the new model maps the square around it; then the whole scene."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qgis.core import QgsPointXY, QgsProcessingUtils, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QSpinBox, QVBoxLayout, QWidget

from ..layers.results import RUN_PROPERTY, run_layers
from .algorithm_run import AlgorithmRun
from .form_parts import add_row, hint, rows
from .icons import theme_icon
from .model_choice import ModelChoice
from .preview_area import PreviewTool, square_around
from .result_loader import ResultLoader
from .workspace import Workspace

_SIDE = "samescene/dock/preview_side"


class PreviewPage(QWidget):
    """:attr:`whole_asked` when the user wants the map of the whole scene. ``scenes()`` gives the layers to map from."""

    whole_asked = pyqtSignal()

    def __init__(
        self, workspace: Workspace, scenes: Callable[[], list[QgsRasterLayer]], parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self._workspace, self._scenes = workspace, scenes
        self._run: AlgorithmRun | None = None
        self._held: list[QgsRasterLayer] = []
        self._folder = ""
        self._earlier_tool = None
        self._next: QgsPointXY | None = None
        self._tool = PreviewTool(workspace.canvas)
        self.model = ModelChoice()
        self.side = QSpinBox()
        self.side.setRange(64, 4096)
        self.side.setSingleStep(100)
        self.side.setSuffix(self.tr(" pixels"))
        self.side.setValue(QgsSettings().value(_SIDE, 1000, type=int))
        self.click = QPushButton(theme_icon("mActionIdentify.svg"), self.tr("Click a place on the map"))
        self.click.setCheckable(True)
        self.click.setToolTip(self.tr("Each click maps the square around it; Escape ends"))
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.whole = QPushButton(theme_icon("mActionStart.svg"), self.tr("Map the whole scene…"))
        self.whole.setObjectName("samesceneWholeScene")
        self.whole.setToolTip(self.tr("Goes to Land cover, with these scenes and this model filled in"))
        about = hint(
            self.tr(
                "The square is mapped in the background and shown like any other map. Not good yet? Draw more labels "
                "where it is wrong, and train again."
            )
        )
        form = rows()
        add_row(form, self.tr("&Model"), self.model, self.tr("The model that was trained last, or any other"))
        add_row(form, self.tr("&Side of the square"), self.side)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 9, 9, 9)
        column.setSpacing(9)
        column.addLayout(form)
        column.addWidget(self.click)
        column.addWidget(self.state)
        column.addWidget(about)
        column.addStretch(1)
        column.addWidget(self.whole)
        self.click.toggled.connect(self._tool_wanted)
        self._tool.clicked.connect(self.show_place)
        self._tool.left.connect(lambda: self.click.setChecked(False))
        self._tool.deactivated.connect(lambda: self.click.setChecked(False))
        self.whole.clicked.connect(self.whole_asked)
        workspace.runner.ended.connect(self._ended)
        workspace.banner.state_changed.connect(self._refresh)
        self._refresh()

    def use(self, model: str) -> None:
        """Take a model, for example the one that was trained just now."""
        self.model.refresh()
        self.model.set_value(model)

    def show_place(self, point: QgsPointXY) -> None:
        """Map the square around a point of the canvas; one that is clicked meanwhile follows."""
        if self._run is not None:
            self._next = QgsPointXY(point)
            self.state.setText(self.tr("That place comes next."))
            return
        scenes = self._scenes()
        if not scenes:
            self.state.setText(self.tr("Choose the scene on the first page."))
            return
        crs = self._workspace.canvas.mapSettings().destinationCrs()
        square = square_around(point, crs, scenes[0], self.side.value())
        if square is None:
            self.state.setText(self.tr("This place is not on the scene '{}'.").format(scenes[0].name()))
            return
        QgsSettings().setValue(_SIDE, self.side.value())
        self._held = scenes  # layers opened from files live as long as the run
        folder = Path(QgsProcessingUtils.generateTempFilename("preview")).absolute()
        parameters = {
            "SCENES": [
                layer.id() if QgsProject.instance().mapLayer(layer.id()) else layer.source() for layer in scenes
            ],
            "AOI_EXTENT": square,
            **self.model.parameters(),
            "OUTPUT": str(folder),
            "LOAD_RESULTS": False,
        }
        self._run, fault = self._workspace.runner.begin("samescene:landcover", parameters)
        self.state.setText(fault or self.tr("Mapping the square…"))

    def shut_down(self) -> None:
        """Give the map its tool back and follow nothing any more."""
        self.click.setChecked(False)
        self._workspace.runner.ended.disconnect(self._ended)
        self._workspace.banner.state_changed.disconnect(self._refresh)

    def hideEvent(self, event):
        super().hideEvent(event)
        self.click.setChecked(False)  # a click elsewhere is meant for another tool

    def _refresh(self) -> None:
        self.click.setEnabled(self._workspace.banner.engine_ready)

    def _tool_wanted(self, on: bool) -> None:
        canvas = self._workspace.canvas
        if on:
            self._earlier_tool = canvas.mapTool()
            canvas.setMapTool(self._tool)
        elif canvas.mapTool() is self._tool:
            if self._earlier_tool is not None:
                canvas.setMapTool(self._earlier_tool)
            else:
                canvas.unsetMapTool(self._tool)

    def _ended(self, run: AlgorithmRun, successful: bool, outputs: dict) -> None:
        if run is not self._run:
            return
        self._run, self._held = None, []
        if successful:
            self._replace(str(outputs["OUTPUT"]))
            self.state.setText(self.tr("The square is mapped: it is on top of the layers. Click the next place."))
        else:
            record = self._workspace.registry.newest_of(str(run.parameters["OUTPUT"]))
            self.state.setText(record.error if record is not None and record.error else self.tr("Cancelled."))
        place, self._next = self._next, None
        if place is not None:
            self.show_place(place)

    def _replace(self, folder: str) -> None:
        """Show a preview in place of the one before."""
        project = QgsProject.instance()
        if self._folder:
            earlier = run_layers(self._folder)
            nodes = [project.layerTreeRoot().findLayer(layer.id()) for layer in earlier.values()]
            groups = {node.parent() for node in nodes if node is not None}
            project.removeMapLayers([layer.id() for layer in earlier.values()])
            for group in groups:
                if group.parent() is not None and not group.children():
                    group.parent().removeChildNode(group)
        self._folder = folder
        loader = ResultLoader(folder, self)
        loader.ended.connect(self._loaded)
        loader.start()

    def _loaded(self, loader: ResultLoader) -> None:
        loader.deleteLater()
        if loader.fault:
            self.state.setText(loader.fault)
        for group in QgsProject.instance().layerTreeRoot().findGroups(True):
            if group.customProperty(RUN_PROPERTY) == loader.folder:
                name = self.model.value().replace("\\", "/").rstrip("/").removesuffix("/model").rsplit("/", 1)[-1]
                group.setName(self.tr("SameScene – Preview of {}").format(name))
