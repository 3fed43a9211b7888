"""The imagery that photos are compared with: a raster layer of the project, a file, or the address of map tiles."""

from __future__ import annotations

from qgis.core import QgsMapLayer, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QLineEdit, QStackedWidget, QVBoxLayout, QWidget

from ...processing.reference_source import attribution_of, is_tiles, licence_line, source_of, tiles_of
from ..form_parts import hint, narrow_combo
from ..icons import theme_icon
from ..layer_picker import RASTER, LayerPicker

LAYER, ADDRESS = range(2)


class ReferencePicker(QWidget):
    """:meth:`value` is a layer id, a path or an address. :attr:`note` says whose terms apply; a form places it where it
    has the width."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = narrow_combo(self)
        self.kind.addItem(theme_icon("mIconRaster.svg"), self.tr("Raster layer or file"))
        self.kind.addItem(theme_icon("mIconXyz.svg"), self.tr("Address of map tiles"))
        self.kind.setAccessibleName(self.tr("Kind of reference"))
        self.layer = LayerPicker(RASTER, title=self.tr("Reference imagery"), optional=False, parent=self)
        self.address = QLineEdit(self)
        self.address.setPlaceholderText("https://…/{z}/{x}/{y}.jpg")
        self.address.setAccessibleName(self.tr("Address of map tiles"))
        self.address.setToolTip(self.tr("An address with {z}, {x} and {y} (or {-y}, {q}), http, https or a folder"))
        self._stack = QStackedWidget(self)
        self._stack.addWidget(self.layer)
        self._stack.addWidget(self.address)
        self.note = hint("", self)
        self.note.hide()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.kind)
        column.addWidget(self._stack)
        self.setFocusProxy(self.layer)
        self.kind.currentIndexChanged.connect(self._kind_changed)
        self.layer.changed.connect(self._changed)
        self.address.textChanged.connect(self._changed)

    def value(self) -> str | None:
        """A layer id, a path, an address, or None."""
        if self.kind.currentIndex() == ADDRESS:
            return self.address.text().strip() or None
        return self.layer.value()

    def parameters(self) -> dict[str, str]:
        """``REFERENCE`` (a layer id or a path) or ``ADDRESS``; empty where nothing is chosen."""
        value = self.value()
        if value is None:
            return {}
        return {"ADDRESS" if self.kind.currentIndex() == ADDRESS else "REFERENCE": value}

    def source(self) -> str:
        """Source of the layer, file or address, to be remembered."""
        return (self.value() or "") if self.kind.currentIndex() == ADDRESS else self.layer.source()

    def chosen_layer(self) -> QgsMapLayer | None:
        """The layer of the project; None for files and addresses."""
        return self.layer.layer() if self.kind.currentIndex() == LAYER else None

    def attribution(self) -> str:
        """Whom the layer's own metadata name; empty where they name nobody."""
        layer = self.chosen_layer()
        return attribution_of(layer) if layer is not None else ""

    def terms(self) -> str:
        """Whose terms apply to the imagery, as far as it tells; empty where nothing is known of them."""
        layer = self.chosen_layer()
        if self.kind.currentIndex() == ADDRESS:
            host = tiles_of(self.address.text().strip()).host
        else:
            host = source_of(layer).host if isinstance(layer, QgsRasterLayer) else ""
        lines = [licence_line(host, self.attribution())] if host else []
        licences = "; ".join(text for text in layer.metadata().licenses() if text) if layer is not None else ""
        if licences:
            lines.append(self.tr("Licence: {}.").format(licences))
        return " ".join(lines)

    def fault(self) -> str:
        """What is missing, or the empty string."""
        if self.value() is None:
            if self.kind.currentIndex() == ADDRESS:
                return self.tr("Give the address of the map tiles, with {z}, {x} and {y}.")
            return self.tr("Choose the imagery that the photos are compared with: a layer or a file.")
        if self.kind.currentIndex() == ADDRESS and not is_tiles(self.address.text()):
            return self.tr("The address of map tiles needs {z}, {x} and {y} (or {-y}), or {q}.")
        return ""

    def use(self, source: str) -> None:
        """Choose what :meth:`source` gave: an address, or a layer or file that still exists."""
        if is_tiles(source) and "type=xyz" not in source:
            self.address.setText(source)
            self.kind.setCurrentIndex(ADDRESS)
            return
        self.kind.setCurrentIndex(LAYER)
        self.layer.restore(source)

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember the choice."""
        settings.setValue(f"{prefix}/reference", self.source())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered, as far as it still exists."""
        self.use(settings.value(f"{prefix}/reference", "", type=str))

    def _kind_changed(self) -> None:
        self._stack.setCurrentIndex(self.kind.currentIndex())
        self._changed()

    def _changed(self) -> None:
        text = self.terms()
        self.note.setText(text)
        self.note.setVisible(bool(text))
        self.changed.emit()
