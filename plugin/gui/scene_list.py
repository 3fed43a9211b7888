"""One or several scenes: a row with a layer picker for each, with buttons to add and remove rows."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsSettings
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from .icons import theme_icon
from .layer_picker import RASTER, LayerPicker

MOST = 16


class SceneList(QWidget):
    """:meth:`values` are the chosen layers (ids) and files (paths), without the rows that are empty."""

    changed = pyqtSignal()

    def __init__(self, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._tip = tip
        self._rows: list[tuple[QWidget, LayerPicker, QToolButton]] = []
        self._column = QVBoxLayout()
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(4)
        self.add = QToolButton(self)
        self.add.setIcon(theme_icon("symbologyAdd.svg"))
        self.add.setText(self.tr("Add a scene"))
        self.add.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.add.setAutoRaise(True)
        self.add.setToolTip(self.tr("Another scene of the same place: the other sensor, or more bands"))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addLayout(self._column)
        column.addWidget(self.add)
        self.add.clicked.connect(lambda: self._add_row().setFocus())
        self._add_row()

    def pickers(self) -> list[LayerPicker]:
        """The rows' pickers, from the top."""
        return [picker for _, picker, _ in self._rows]

    def values(self) -> list[str]:
        """Layer ids and paths, from the top; a scene that was chosen twice is named once."""
        return list(dict.fromkeys(value for value in (picker.value() for picker in self.pickers()) if value))

    def sources(self) -> list[str]:
        """Sources of the chosen layers and files, to be remembered."""
        return [source for source in (picker.source() for picker in self.pickers()) if source]

    def layers(self) -> list[QgsMapLayer]:
        """The chosen layers of the project."""
        return [layer for layer in (picker.layer() for picker in self.pickers()) if layer is not None]

    def set_layers(self, layers: list[QgsMapLayer]) -> None:
        """Choose these layers of the project and nothing else."""
        self._resize(len(layers))
        for picker, layer in zip(self.pickers(), layers):
            picker.set_layer(layer)
        if not layers:
            self.pickers()[0].set_layer(None)

    def set_sources(self, sources: list[str]) -> None:
        """Choose what :meth:`sources` gave earlier, as far as it still exists."""
        self._resize(len(sources))
        for picker, source in zip(self.pickers(), sources):
            picker.restore(source)

    def duplicate(self) -> bool:
        """Whether one scene was chosen in two rows."""
        sources = self.sources()
        return len(set(sources)) < len(sources)

    def save(self, settings: QgsSettings, key: str) -> None:
        """Remember the choice."""
        settings.setValue(key, self.sources())

    def restore(self, settings: QgsSettings, key: str) -> None:
        """Fill in what :meth:`save` remembered."""
        stored = settings.value(key, [])
        sources = [stored] if isinstance(stored, str) else list(stored or [])
        if sources:
            self.set_sources([str(source) for source in sources])

    def _resize(self, count: int) -> None:
        while len(self._rows) > max(1, count):
            self._remove_row(self._rows[-1][0])
        while len(self._rows) < count:
            self._add_row()

    def _add_row(self) -> LayerPicker:
        row = QWidget(self)
        picker = LayerPicker(RASTER, title=self.tr("Scene"), optional=False, parent=row)
        picker.setToolTip(self._tip)
        remove = QToolButton(row)
        remove.setIcon(theme_icon("symbologyRemove.svg"))
        remove.setToolTip(self.tr("Take this scene off the list"))
        remove.setAccessibleName(remove.toolTip())
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(4)
        line.addWidget(picker, 1)
        line.addWidget(remove)
        row.setFocusProxy(picker)
        self._column.addWidget(row)
        self._rows.append((row, picker, remove))
        picker.changed.connect(self.changed)
        remove.clicked.connect(lambda: self._remove_row(row))
        self._show_buttons()
        self.setFocusProxy(self._rows[0][1])
        return picker

    def _remove_row(self, row: QWidget) -> None:
        self._rows = [item for item in self._rows if item[0] is not row]
        self._column.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._show_buttons()
        self.setFocusProxy(self._rows[0][1])
        self.changed.emit()

    def _show_buttons(self) -> None:
        for _, _, remove in self._rows:
            remove.setVisible(len(self._rows) > 1)
        self.add.setEnabled(len(self._rows) < MOST)
