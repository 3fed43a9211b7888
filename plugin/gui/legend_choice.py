"""Which legend the map is written in: the model's own, one of those that come with the engine, or a file."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QWidget

from ..engine_client.settings import plugin_root
from ..layers.legends import Legend, read_legend, shipped_legends


class LegendChoice(QComboBox):
    """:meth:`value` is the empty string for the first entry, else a name or a file as the engine takes it."""

    changed = pyqtSignal()

    def __init__(self, own: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.legends = shipped_legends(plugin_root())
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.addItem(own, "")
        for legend in self.legends:
            self.addItem(legend.title, legend.name)
        self.addItem(self.tr("Legend file…"), None)
        self._before = 0
        self.activated.connect(self._activated)
        self.currentIndexChanged.connect(self._index_changed)

    def value(self) -> str:
        """The legend as the engine takes it; empty for the model's own."""
        return self.currentData() or ""

    def legend(self) -> Legend | None:
        """The chosen legend; None for the first entry or a file that is none."""
        value = self.value()
        found = next((one for one in self.legends if one.name == value), None)
        return found if found is not None or not value else read_legend(Path(value))

    def set_value(self, value: str) -> None:
        """Choose a legend by name or file."""
        index = self.findData(value)
        if index < 0 and value and Path(value).is_file():
            self.insertItem(self.count() - 1, Path(value).name, value)
            index = self.findData(value)
        self.setCurrentIndex(max(0, index))

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember the choice."""
        settings.setValue(f"{prefix}/legend", self.value())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        self.set_value(settings.value(f"{prefix}/legend", "", type=str))

    def _activated(self, index: int) -> None:
        if self.itemData(index) is not None:
            return
        path, _ = QFileDialog.getOpenFileName(self, self.tr("Legend file"), "", self.tr("Legends (*.json)"))
        self.set_value(path if path else (self.itemData(self._before) or ""))

    def _index_changed(self, index: int) -> None:
        if self.itemData(index) is not None:
            self._before = index
            self.setToolTip(self.value())
            self.changed.emit()
