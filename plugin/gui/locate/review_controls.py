"""What is set and decided in a review: heading, overlay, map, proposed place; next, previous, accept, reject."""

from __future__ import annotations

from qgis.core import Qgis, QgsMapLayerProxyModel
from qgis.gui import QgsMapLayerComboBox
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import (
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSlider,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...compat import scoped
from ...photos.projection import CAMERA_HEIGHT_M
from ..form_parts import add_row, rows
from ..icons import theme_icon
from . import review_keys as keys
from .heading_box import HeadingBox


class ReviewControls(QWidget):
    """Buttons and fields; the panel says what they do.

    :attr:`asked` carries a command of :mod:`plugin.gui.locate.review_keys`; :attr:`turned` a heading that was typed;
    :attr:`reset` is asked to go back to the heading that was found; :attr:`link` follows a link of the score's text.
    :attr:`settings` are fields that are set once and stand apart.
    """

    asked = pyqtSignal(str)
    turned = pyqtSignal(float)
    reset = pyqtSignal()
    opacity_changed = pyqtSignal(float)
    height_changed = pyqtSignal(float)
    map_changed = pyqtSignal(object)
    link = pyqtSignal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title, self.facts, self.state, self.score = QLabel(), QLabel(), QLabel(), QLabel()
        for label in (self.title, self.facts, self.state, self.score):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.RichText)
        self.score.linkActivated.connect(self.link)
        self.heading = HeadingBox()
        self.heading.headed.connect(lambda heading: None if heading is None else self.turned.emit(heading))
        self.back = QToolButton()
        self.back.setIcon(theme_icon("mActionUndo.svg"))
        self.back.setToolTip(self.tr("Back to the heading that was found"))
        self.back.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.back.clicked.connect(self.reset)
        self.opacity = QSlider(Qt.Orientation.Horizontal)
        self.opacity.setRange(0, 100)
        self.opacity.setValue(50)
        self.opacity.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.opacity.valueChanged.connect(lambda value: self.opacity_changed.emit(value / 100))
        self.height = QDoubleSpinBox()
        self.height.setRange(0.5, 60.0)
        self.height.setSingleStep(0.1)
        self.height.setDecimals(1)
        self.height.setSuffix(" m")
        self.height.setValue(CAMERA_HEIGHT_M)
        self.height.valueChanged.connect(self.height_changed)
        self.map = QgsMapLayerComboBox()
        self.map.setFilters(scoped((Qgis, "LayerFilter.RasterLayer"), (QgsMapLayerProxyModel, "Filter.RasterLayer")))
        self.map.setAllowEmptyLayer(True, self.tr("Index imagery"))
        self.map.setCurrentIndex(0)  # setLayer(None) would leave it blank
        self.map.setMinimumContentsLength(8)
        self.map.layerChanged.connect(self._map_chosen)
        self.previous = self._button(
            keys.PREVIOUS, "mActionArrowLeft.svg", self.tr("Previous"), self.tr("The candidate before")
        )
        self.next = self._button(keys.NEXT, "mActionArrowRight.svg", self.tr("Next"), self.tr("The candidate after"))
        self.accept = self._button(
            keys.ACCEPT, "mIconSuccess.svg", self.tr("Accept"),
            self.tr("The photo was taken here: the place goes to the layer of located photos"),
        )  # fmt: skip
        self.reject = self._button(
            keys.REJECT, "mIconClose.svg", self.tr("Reject"), self.tr("The photo was not taken here")
        )
        self.propose = self._button(
            keys.PROPOSE, "mActionIdentify.svg", self.tr("Propose a place"),
            self.tr("Click on the map, or on the map crop, where you think that the photo was taken"),
        )  # fmt: skip
        self.propose.setCheckable(True)
        self.rate = self._button(
            keys.SCORE, "mActionStart.svg", self.tr("Score"),
            self.tr("How well the photo fits at this place, turned as it is now; the engine is asked"),
        )  # fmt: skip
        self._lay_out()

    def _button(self, command: str, symbol: str, text: str, tip: str) -> QPushButton:
        button = QPushButton(theme_icon(symbol), f"{text} ({keys.NAMES[command]})")
        button.setToolTip(f"{tip} ({keys.NAMES[command]})")
        button.setObjectName(f"samesceneReview:{command}")
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # keys belong to the panel, whatever was clicked last
        button.clicked.connect(lambda *_: self.asked.emit(command))
        return button

    def _lay_out(self) -> None:
        heading = QHBoxLayout()
        heading.setContentsMargins(0, 0, 0, 0)
        heading.setSpacing(3)
        heading.addWidget(self.heading, 1)
        heading.addWidget(self.back)
        holder = QWidget()
        holder.setLayout(heading)
        holder.setFocusProxy(self.heading)
        form = rows()
        add_row(
            form, self.tr("&Heading"), holder,
            self.tr("Compass direction of the photo's middle. Turn it by dragging on the map too, or with , and ."),
        )  # fmt: skip
        self.heading.setAccessibleName(self.tr("Heading of the photo's middle"))
        add_row(form, self.tr("&Overlay"), self.opacity, self.tr("How much of the photo from above covers the map"))
        self._grid = QGridLayout()
        self._grid.setSpacing(4)
        self._columns = 0
        self.set_columns(2)
        self.settings = QWidget()
        settings = rows(self.settings)
        settings.setContentsMargins(0, 0, 0, 0)
        add_row(
            settings, self.tr("&Camera height"), self.height,
            self.tr("How high the camera stood over the ground: it decides how large the photo is from above"),
        )  # fmt: skip
        add_row(settings, self.tr("&Map"), self.map, self.tr("What the photo is compared with"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.title)
        column.addWidget(self.facts)
        column.addWidget(self.state)
        column.addLayout(form)
        column.addLayout(self._grid)
        column.addWidget(self.score)  # last: what comes and goes moves no button

    def set_columns(self, count: int) -> None:
        """The buttons in so many columns."""
        if self._columns != count:
            self._columns = count
            buttons = (self.propose, self.rate, self.previous, self.next, self.reject, self.accept)
            for place, button in enumerate(buttons):
                self._grid.addWidget(button, place // count, place % count)

    def say(self, text: str) -> None:
        """What the engine told of the place, or what went wrong; nothing for an empty text."""
        self.score.setText(text)
        self.score.setVisible(bool(text))

    def _map_chosen(self, layer) -> None:
        if layer is None and self.map.currentIndex() < 0:  # the layer that was chosen is gone
            self.map.setCurrentIndex(0)
        self.map_changed.emit(layer)
