"""The slider that moves the probability threshold of a loaded result without running again."""

from __future__ import annotations

from qgis.core import QgsApplication, QgsMapLayer, QgsProject
from qgis.PyQt.QtCore import Qt, QTimer
from qgis.PyQt.QtWidgets import QGroupBox, QHBoxLayout, QLabel, QSlider, QSpinBox, QToolButton, QVBoxLayout, QWidget

from ..layers.flood_product import PERCENT_PROPERTY
from ..layers.results import RUN_PROPERTY, run_layers
from ..layers.threshold import ThresholdView
from ..tasks import stop_task
from .area_task import AreaTask
from .icons import theme_icon

DELAY_MS = 40


class ThresholdBar(QGroupBox):
    """Bound to the layers of one result folder at a time; disabled, and saying why, without them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("Water from probability"))
        self._view: ThresholdView | None = None
        self._task: AreaTask | None = None
        self._areas = None
        self.folder = ""
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setRange(0, 100)
        self.slider.setPageStep(10)
        self.slider.setTickInterval(10)
        self.slider.setTickPosition(QSlider.TickPosition.TicksBelow)
        self.slider.setAccessibleName(self.tr("Probability threshold"))
        self.spin = QSpinBox()
        self.spin.setRange(0, 100)
        self.spin.setSuffix(" %")
        self.spin.setAccessibleName(self.tr("Probability threshold"))
        self.reset = QToolButton()
        self.reset.setIcon(theme_icon("mActionUndo.svg"))
        self.reset.setToolTip(self.tr("Back to the threshold of the run"))
        self.reset.setAccessibleName(self.reset.toolTip())
        self.note = QLabel()
        self.note.setWordWrap(True)
        tip = self.tr(
            "Restyles the map at once. At the run's own threshold the map is the result itself; elsewhere it shows"
            " every pixel of at least this probability, without region growing or removal of small areas."
        )
        for widget in (self.slider, self.spin):
            widget.setToolTip(tip)
        row = QHBoxLayout()
        row.setSpacing(6)
        row.addWidget(self.slider, 1)
        row.addWidget(self.spin)
        row.addWidget(self.reset)
        column = QVBoxLayout(self)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self.note)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self._apply)
        self.slider.valueChanged.connect(self._moved)
        self.spin.valueChanged.connect(self.slider.setValue)
        self.reset.clicked.connect(self._reset)
        QgsProject.instance().layersRemoved.connect(self._layers_removed)
        self.set_folder("")

    @property
    def bound(self) -> bool:
        """Whether there are layers to restyle."""
        return self._view is not None

    @property
    def run_percent(self) -> int:
        """The threshold of the run itself; 50 while nothing is bound."""
        return self._view.run_percent if self._view is not None else 50

    def set_folder(self, folder: str) -> None:
        """Bind to the layers of a result folder, as far as they are in the project."""
        self._timer.stop()
        self._stop_areas()
        self.folder = folder
        layers = run_layers(folder) if folder else {}
        probability = layers.get("probability")
        self._view = None
        if probability is not None:
            percent = int(probability.customProperty(PERCENT_PROPERTY, 50))
            flood = layers.get("flood")
            self._view = ThresholdView(
                flood_id=flood.id() if flood is not None else "", probability_id=probability.id(), run_percent=percent
            )
        for widget in (self.slider, self.spin, self.reset):
            widget.setEnabled(self._view is not None)
        self._set_shown(self._view.percent() if self._view is not None else 50)

    def follow_layer(self, layer: QgsMapLayer | None) -> None:
        """Bind to the result that a layer belongs to, if it belongs to one."""
        folder = layer.customProperty(RUN_PROPERTY) if layer is not None else None
        if folder and (folder != self.folder or not self.bound):
            self.set_folder(str(folder))

    def shut_down(self) -> None:
        """Follow the project no longer."""
        self._timer.stop()
        self._stop_areas(wait=True)
        QgsProject.instance().layersRemoved.disconnect(self._layers_removed)

    def _set_shown(self, percent: int) -> None:
        for widget in (self.slider, self.spin):
            widget.blockSignals(True)
            widget.setValue(percent)
            widget.blockSignals(False)
        self._say(percent)

    def _say(self, percent: int) -> None:
        if self._view is None:
            text = self.tr("Choose a finished run whose layers are loaded.")
        elif percent == self._view.run_percent:
            text = self.tr("The result as it was made, at {}\u00a0%.").format(percent)
        else:
            text = self.tr("Every pixel of {}\u00a0% and more{}; the run took {}\u00a0%.").format(
                percent, self._area(percent), self._view.run_percent
            )
        self.note.setText(text)
        self.reset.setEnabled(self._view is not None and percent != self._view.run_percent)

    def _area(self, percent: int) -> str:
        """The area of water at a threshold as ``": 1.23 km²"``; computed in the background when first asked for."""
        if self._areas is not None:
            return f": {self._areas[percent] / 1e6:.2f}\u00a0km²"
        flood, probability = self._view.flood, self._view.probability
        if self._task is None and flood is not None and probability is not None:
            self._task = AreaTask(flood.source(), probability.source())
            self._task.taskCompleted.connect(self._take_areas)
            QgsApplication.taskManager().addTask(self._task)
        return ""

    def _take_areas(self) -> None:
        if self._task is not None and self._view is not None:
            self._areas = self._task.areas
            self._say(self.slider.value())

    def _stop_areas(self, *, wait: bool = False) -> None:
        task, self._task, self._areas = self._task, None, None
        if task is not None and task.areas is None:
            task.taskCompleted.disconnect(self._take_areas)
            stop_task(task, 5 if wait else 0)

    def _moved(self, percent: int) -> None:
        self.spin.blockSignals(True)
        self.spin.setValue(percent)
        self.spin.blockSignals(False)
        self._say(percent)
        if not self._timer.isActive():
            self._timer.start()

    def _apply(self) -> None:
        if self._view is not None:
            self._view.set_percent(self.slider.value())

    def _reset(self) -> None:
        if self._view is not None:
            self.slider.setValue(self._view.run_percent)

    def _layers_removed(self, _ids) -> None:
        if self._view is not None and self._view.probability is None:
            self.set_folder(self.folder)
