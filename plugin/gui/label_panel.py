"""The labelling panel: one point after the other on the map, blind to what the map says there, by mouse or keys."""

from __future__ import annotations

from qgis.core import QgsCoordinateTransform, QgsCsException, QgsProject, QgsSettings
from qgis.gui import QgsMapCanvas, QgsScaleComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..layers.legends import LegendClass
from ..layers.sample import Sample, SampleError
from . import label_keys as keys
from .blind_map import BlindMap
from .form_page import scrolled
from .icons import theme_icon
from .label_buttons import LabelButtons
from .pixel_marker import PixelGrid, PixelMarker

_SCALES = ["1:500", "1:1000", "1:2500", "1:5000", "1:10000", "1:25000"]
_SETTING = "samescene/dock/label_scale"


class LabelPanel(QWidget):
    """:meth:`begin` with a sample; :attr:`ended` when the user stops; :attr:`answered` after every label."""

    ended = pyqtSignal()
    answered = pyqtSignal()

    def __init__(self, canvas: QgsMapCanvas, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._canvas = canvas
        self.sample: Sample | None = None
        self._blind = BlindMap()
        self._marker: PixelMarker | None = None
        self._grid = PixelGrid("")
        self._classes: list[LegendClass] = []
        self.progress = QProgressBar()
        self.progress.setAccessibleName(self.tr("Points labelled"))
        self.title = QLabel()
        self.scale = QgsScaleComboBox()
        self.scale.updateScales(_SCALES)
        self.scale.setScale(QgsSettings().value(_SETTING, 2500.0, type=float))
        self.scale.setToolTip(self.tr("Scale that the map is brought to at each point"))
        self.scale.setAccessibleName(self.tr("Scale"))
        self.warning = QLabel()
        self.warning.setWordWrap(True)
        self.buttons = LabelButtons()
        self.back = self._button("mActionArrowLeft.svg", self.tr("Back"), self.tr("The point before"), keys.BACK)
        self.skip = self._button("mActionArrowRight.svg", self.tr("Skip"), self.tr("Leave it for later"), keys.SKIP)
        self.undo = self._button("mActionUndo.svg", self.tr("Undo"), self.tr("Take the last label back"), keys.UNDO)
        self.unsure = QCheckBox(self.tr("Not sure (U)"))
        self.unsure.setToolTip(self.tr("Say so before the label: the label is kept as not confident"))
        self.unsure.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.note = QLineEdit()
        self.note.setPlaceholderText(self.tr("Note (N), then Enter"))
        self.note.setToolTip(self.tr("A note to the point, saved with its label"))
        self.note.setAccessibleName(self.tr("Note"))
        self.stop = QPushButton(self.tr("Stop labelling"))
        self.stop.setToolTip(self.tr("Shows the hidden layers again (Esc); go on at any time, in another session too"))
        self.stop.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._keys = keys.KeyFilter(self._wants, self._take_key, self)
        self._lay_out()
        self._connect()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)

    def _button(self, symbol: str, text: str, tip: str, command: str) -> QPushButton:
        button = QPushButton(theme_icon(symbol), text)
        button.setToolTip(f"{tip} ({keys.KEY_NAMES[command]})")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys belong to the panel, whatever was clicked last
        return button

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(6)
        head.addWidget(self.title, 1)
        head.addWidget(self.scale)
        commands = QGridLayout()
        commands.setSpacing(4)
        for number, button in enumerate((self.back, self.skip, self.undo)):
            commands.addWidget(button, 0, number)
        answer = QHBoxLayout()
        answer.setSpacing(6)
        answer.addWidget(self.unsure)
        answer.addWidget(self.note, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 6, 9, 9)
        column.setSpacing(6)
        column.addWidget(self.progress)
        column.addLayout(head)
        column.addWidget(self.warning)
        column.addLayout(answer)
        column.addWidget(scrolled(self.buttons), 1)
        column.addLayout(commands)
        column.addWidget(self.stop)

    def _connect(self) -> None:
        self.buttons.chosen.connect(self.answer)
        self.back.clicked.connect(lambda: self._walk("back"))
        self.skip.clicked.connect(lambda: self._walk("skip"))
        self.undo.clicked.connect(self._undo)
        self.stop.clicked.connect(self.end)
        self.note.returnPressed.connect(self._note_done)
        self.scale.scaleChanged.connect(self._scale_changed)

    @property
    def active(self) -> bool:
        """Whether labelling goes on."""
        return self.sample is not None

    def begin(self, sample: Sample, classes: list[LegendClass]) -> None:
        """Hide the map, and show the first point without a label."""
        self.sample, self._classes = sample, classes
        self.buttons.show_classes(classes)
        self._blind.hide(sample.map_path, str(sample.path))
        self._marker = PixelMarker(self._canvas)
        self._grid = PixelGrid(sample.map_path)
        for widget in (self._canvas, self._canvas.viewport(), self):
            widget.installEventFilter(self._keys)
        self.progress.setRange(0, len(sample.points))
        self._show_point()
        self.setFocus()

    def end(self) -> None:
        """Show the map again and leave the canvas as it was."""
        if self.sample is None:
            return
        for widget in (self._canvas, self._canvas.viewport(), self):
            widget.removeEventFilter(self._keys)
        if self._marker is not None:
            self._marker.remove()
            self._marker = None
        self._blind.restore()
        self.sample = None
        self.ended.emit()

    def answer(self, code: int) -> None:
        """Label the point in front and go to the next."""
        if self.sample is None:
            return
        try:
            self.sample.answer(code, confident=not self.unsure.isChecked(), note=self.note.text().strip())
        except SampleError as fault:
            self._warn(str(fault))
            return
        self._repaint_points()
        self.sample.go_on()
        self._show_point()
        self.answered.emit()

    def _walk(self, way: str) -> None:
        if self.sample is not None:
            getattr(self.sample, way)()
            self._show_point()

    def _undo(self) -> None:
        if self.sample is None:
            return
        try:
            self.sample.undo()
        except SampleError as fault:
            self._warn(str(fault))
            return
        self._repaint_points()
        self._show_point()
        self.answered.emit()

    def _note_done(self) -> None:
        # A note to a point that has its label already is saved by itself.
        point = self.sample.point if self.sample is not None else None
        if point is not None and point.label is not None and self.note.text().strip() != point.note:
            try:
                self.sample.answer(point.label, confident=point.confident, note=self.note.text().strip())
            except SampleError as fault:
                self._warn(str(fault))
        self.setFocus()

    def _show_point(self) -> None:
        sample = self.sample
        point = sample.point
        done, count = sample.labelled, len(sample.points)
        self.progress.setValue(done)
        self.progress.setFormat(self.tr("{} of {} labelled").format(done, count))
        self.title.setText(self.tr("<b>Point {}</b>").format(point.number))
        self.unsure.setChecked(not point.confident)
        self.note.setText(point.note)
        self.buttons.check(point.label)
        self.undo.setEnabled(sample.can_undo)
        self._go_to_point()
        shown = self._blind.visible(sample.map_path, str(sample.path))
        if shown:
            names = ", ".join(shown[:3])
            self._warn(self.tr("Not blind: {} can be seen. Hide it to label without knowing the map.").format(names))
        elif sample.complete:
            self._warn(self.tr("All points are labelled. Stop, then make the report."))
        else:
            self._warn("")

    def _go_to_point(self) -> None:
        point, project = self.sample.point, QgsProject.instance()
        crs = self._canvas.mapSettings().destinationCrs()
        try:
            center = QgsCoordinateTransform(self.sample.crs, crs, project).transform(point.place)
            square = self._grid.square(point.place, self.sample.crs, crs)
        except QgsCsException:
            self._warn(self.tr("The point cannot be shown in the project's CRS; choose another one for the project."))
            return
        self._canvas.setCenter(center)
        self._canvas.zoomScale(self.scale.scale())
        self._marker.show(square)

    def _warn(self, text: str) -> None:
        self.warning.setText(text)
        self.warning.setVisible(bool(text))

    def _scale_changed(self, scale: float) -> None:
        QgsSettings().setValue(_SETTING, scale)
        if self.sample is not None:
            self._go_to_point()

    def _repaint_points(self) -> None:
        for layer in QgsProject.instance().mapLayers().values():
            if layer.source().split("|")[0] == str(self.sample.path):
                layer.triggerRepaint()

    def _wants(self, event) -> bool:
        return self._hears() and keys.meaning(event, len(self._classes)) is not None

    def _hears(self) -> bool:
        # Behind another tab a key that was meant for something else must not become a label.
        return self.sample is not None and self.isVisible()

    def _take_key(self, event) -> bool:
        if not self._hears():
            return False
        what = keys.meaning(event, len(self._classes))
        if what is None:
            return False
        if isinstance(what, int):
            self.answer(self._classes[what].code)
        elif what == keys.UNDO:
            self._undo()
        elif what == keys.UNSURE:
            self.unsure.toggle()
        elif what == keys.NOTE:
            self.note.setFocus()
        elif what == keys.STOP:
            self.end()
        else:
            self._walk(what)
        return True
