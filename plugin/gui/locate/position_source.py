"""Where known positions of photos come from: their files, a point layer of the project, or a table."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from ..form_parts import narrow_combo
from ..icons import theme_icon
from ..layer_picker import POINT, LayerPicker

FILES, LAYER = range(2)


class PositionSource(QWidget):
    """:meth:`parameters` is ``POSITIONS``, or empty where the photos' own files tell."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = narrow_combo(self)
        self.kind.addItem(theme_icon("mActionAddImage.svg"), self.tr("What their files say"))
        self.kind.addItem(theme_icon("mIconPointLayer.svg"), self.tr("A point layer or table"))
        self.kind.setAccessibleName(self.tr("Known positions"))
        self.layer = LayerPicker(POINT, title=self.tr("Known positions"), optional=False, parent=self)
        self.layer.setToolTip(
            self.tr("Points with the photo's file name in a field photo or filename; or a CSV with photo, lon, lat")
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.kind)
        column.addWidget(self.layer)
        self.setFocusProxy(self.kind)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.layer.changed.connect(self.changed)
        self._kind_changed()

    def parameters(self) -> dict[str, Any]:
        """``POSITIONS`` where a layer or table is used."""
        used = self.kind.currentIndex() == LAYER and self.layer.value()
        return {"POSITIONS": self.layer.value()} if used else {}

    def fault(self) -> str:
        """What is missing, or the empty string."""
        if self.kind.currentIndex() == LAYER and not self.layer.value():
            return self.tr("Choose the layer or table with the photos' positions.")
        return ""

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember the choice."""
        settings.setValue(f"{prefix}/positions_kind", self.kind.currentIndex())
        settings.setValue(f"{prefix}/positions_layer", self.layer.source())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered, as far as it still exists."""
        self.layer.restore(settings.value(f"{prefix}/positions_layer", "", type=str))
        kind = settings.value(f"{prefix}/positions_kind", FILES, type=int)
        self.kind.setCurrentIndex(kind if kind == FILES or self.layer.value() else FILES)

    def _kind_changed(self, *_) -> None:
        self.layer.setVisible(self.kind.currentIndex() == LAYER)
        self.changed.emit()
