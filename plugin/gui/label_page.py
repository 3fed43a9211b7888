"""The Label page of the Accuracy tab: which sample, how far it is, and the panel while labelling goes on."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsSettings
from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QPushButton, QStackedWidget, QVBoxLayout, QWidget

from ..layers.legends import LegendClass
from ..layers.sample import POINTS, Sample, SampleError
from .form_parts import add_row, hint, rows
from .icons import theme_icon
from .label_panel import LabelPanel
from .legend_choice import LegendChoice
from .workspace import Workspace

_SETTINGS = "samescene/dock/label"


class LabelPage(QWidget):
    """:attr:`progressed` carries the sample's folder when labelling ended; :meth:`use` takes another sample."""

    progressed = pyqtSignal(str)

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.file = QgsFileWidget()
        self.file.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.file.setFilter(self.tr("Samples (points.gpkg *.gpkg)"))
        self.file.setDialogTitle(self.tr("The points of a sample"))
        self.legend = LegendChoice(self.tr("the sample's own"))
        self.state = QLabel()
        self.state.setWordWrap(True)
        self.start = QPushButton(theme_icon("mActionStart.svg"), self.tr("Start labelling"))
        self.start.setObjectName("samesceneLabel")
        about = hint(
            self.tr(
                "Each point is shown on the map, in a square of one pixel. Say what is there by a click or a key. The "
                "map under test and all SameScene results are hidden meanwhile, so that they cannot sway you; show "
                "images instead: the scene, aerial photographs. Labels are saved at once: stop and go on at any time."
            )
        )
        choice = QWidget()
        form = rows()
        tip = self.tr("points.gpkg, as the first page made it")
        add_row(form, self.tr("&Points"), self.file, tip)
        tip = self.tr("Classes to choose from, where the sample does not say (no design.json beside it)")
        add_row(form, self.tr("&Legend"), self.legend, tip)
        column = QVBoxLayout(choice)
        column.setContentsMargins(9, 9, 9, 9)
        column.setSpacing(9)
        column.addLayout(form)
        column.addWidget(self.state)
        column.addWidget(about)
        column.addStretch(1)
        column.addWidget(self.start)
        self.panel = LabelPanel(workspace.canvas)
        self._stack = QStackedWidget()
        self._stack.addWidget(choice)
        self._stack.addWidget(self.panel)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._stack)
        self.file.fileChanged.connect(self.refresh)
        self.legend.changed.connect(self.refresh)
        self.start.clicked.connect(self.begin)
        self.panel.ended.connect(self._ended)
        self.file.setFilePath(QgsSettings().value(f"{_SETTINGS}/points", "", type=str))
        self.refresh()

    @property
    def folder(self) -> str:
        """The sample's folder; empty while none is chosen."""
        path = self.file.filePath().strip()
        return str(Path(path).parent) if path else ""

    def use(self, points: str) -> None:
        """Take a sample: its points.gpkg or its folder."""
        self.panel.end()
        path = Path(points)
        self.file.setFilePath(str(path / POINTS if path.is_dir() else path))
        self.refresh()

    def begin(self, *_) -> None:
        """Start or go on; what is in the way is shown."""
        sample, classes = self._open()
        if sample is None:
            return
        QgsSettings().setValue(f"{_SETTINGS}/points", self.file.filePath())
        self.panel.begin(sample, classes)
        self._stack.setCurrentIndex(1)
        self.panel.setFocus(Qt.FocusReason.OtherFocusReason)

    def refresh(self, *_) -> None:
        """Look at the chosen sample again."""
        if not self.panel.active:
            self._open()

    def shut_down(self) -> None:
        """Leave the map as it was."""
        self.panel.end()

    def _open(self) -> tuple[Sample | None, list[LegendClass]]:
        path = self.file.filePath().strip()
        self.start.setEnabled(False)
        self.start.setText(self.tr("Start labelling"))
        if not path:
            self.state.setText(self.tr("Draw a sample on the first page, or choose the points of an earlier one."))
            return None, []
        try:
            sample = Sample(path)
        except SampleError as fault:
            self.state.setText(str(fault))
            return None, []
        chosen = self.legend.legend()
        classes = list(chosen.classes) if chosen is not None else sample.classes()
        if not classes:
            self.state.setText(self.tr("The sample does not say which classes there are: choose a legend."))
            return None, []
        done, count = sample.labelled, len(sample.points)
        self.state.setText(self.tr("<b>{} of {}</b> points are labelled.").format(done, count))
        self.start.setEnabled(True)
        self.start.setText(self.tr("Look through the labels") if sample.complete else self.start.text())
        if 0 < done < count:
            self.start.setText(self.tr("Go on labelling"))
        return sample, classes

    def _ended(self) -> None:
        self._stack.setCurrentIndex(0)
        self.refresh()
        self.progressed.emit(self.folder)
