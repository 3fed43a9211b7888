"""Small parts that the forms have in common: rows with labels, the folder for the results, zones with their field."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox, QgsFieldComboBox, QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QPalette
from qgis.PyQt.QtWidgets import QComboBox, QDoubleSpinBox, QFormLayout, QLabel, QLayout, QVBoxLayout, QWidget

from .layer_picker import POLYGON, LayerPicker, vector_layer
from .suggest import suggest_folder


def rows(parent: QWidget | None = None) -> QFormLayout:
    """A form layout whose fields take the width that there is."""
    form = QFormLayout(parent) if parent is not None else QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    form.setRowWrapPolicy(QFormLayout.RowWrapPolicy.DontWrapRows)
    form.setHorizontalSpacing(9)
    form.setVerticalSpacing(6)
    if parent is None:
        form.setContentsMargins(0, 0, 0, 0)
    return form


def stack(form: QWidget, *parts: QLayout | QWidget) -> None:
    """Lay the parts of a form one below the other, with room at the end."""
    column = QVBoxLayout(form)
    column.setContentsMargins(9, 9, 9, 9)
    column.setSpacing(9)
    for part in parts:
        if isinstance(part, QWidget):
            column.addWidget(part)
        else:
            column.addLayout(part)
    column.addStretch(1)


def label(text: str, buddy: QWidget, *, as_wide_as: str = "") -> QLabel:
    """A label with its mnemonic; labels of one form are as wide as the text that is given for all."""
    made = QLabel(text, buddy.parentWidget())
    made.setBuddy(buddy)
    if as_wide_as:
        made.setMinimumWidth(made.fontMetrics().horizontalAdvance(as_wide_as) + 4)
    return made


def add_row(form: QFormLayout, text: str, field: QWidget, tip: str = "", *, as_wide_as: str = "", at: int = -1) -> None:
    """A row of a form, the last or in place ``at``; ``tip`` is the field's tool tip and its name for screen readers is
    the label's text."""
    if tip:
        field.setToolTip(tip)
    if not field.accessibleName():
        field.setAccessibleName(text.replace("&", ""))
    form.insertRow(at, label(text, field, as_wide_as=as_wide_as), field)


def hint(text: str, parent: QWidget | None = None) -> QLabel:
    """A paragraph that explains; somewhat paler than what is asked, but to be read."""
    made = QLabel(text, parent)
    made.setWordWrap(True)
    palette = made.palette()
    ink = palette.color(QPalette.ColorRole.WindowText)
    ink.setAlphaF(0.72)
    palette.setColor(QPalette.ColorRole.WindowText, ink)
    made.setPalette(palette)
    return made


def number(parent: QWidget, low: float, high: float, value: float, decimals: int, suffix: str) -> QDoubleSpinBox:
    """A box for a number with its unit."""
    box = QDoubleSpinBox(parent)
    box.setDecimals(decimals)
    box.setRange(low, high)
    box.setValue(value)
    box.setSuffix(suffix)
    box.setGroupSeparatorShown(True)
    return box


def narrow_combo(parent: QWidget) -> QComboBox:
    """A combo box that gives way in a narrow dock: its longest entry does not decide its width."""
    box = QComboBox(parent)
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    return box


class OutputFolder(QgsFileWidget):
    """The folder for the results: suggested beside the input until the user types one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._suggested = ""
        self.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.setDialogTitle(self.tr("Folder for the results"))
        self.setToolTip(self.tr("Folder for the results; made if absent."))
        self.setAccessibleName(self.tr("Output folder"))

    def folder(self) -> str:
        """The folder as it stands."""
        return self.filePath().strip()

    def suggest(self, source: str, suffix: str, *, anew: bool = False) -> None:
        """Fill in a folder that does not exist yet, unless the user typed one (with ``anew`` even then)."""
        if anew or self.folder() in ("", self._suggested):
            self._suggested = suggest_folder(source, suffix)
            self.setFilePath(self._suggested)

    def fault(self, *, replace: bool) -> str:
        """What is wrong with the folder, or the empty string; ``replace``: results in it may be replaced."""
        out = self.folder()
        if not out:
            return self.tr("Choose a folder for the results.")
        folder = Path(out)
        if not folder.is_absolute():
            return self.tr("The output folder needs a full path: {}").format(out)
        if folder.is_file():
            return self.tr("The output folder is a file: {}").format(out)
        if folder.is_dir() and any(folder.iterdir()) and not replace:
            return self.tr("The output folder is not empty: choose another, or tick “Replace results” in Advanced.")
        return ""


class ZonesBox(QgsCollapsibleGroupBox):
    """Polygons to report by, and the field that names them: ``ZONES`` and ``ZONE_FIELD``."""

    changed = pyqtSignal()

    def __init__(self, tip: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTitle(self.tr("Zones to report"))
        self.zones = LayerPicker(POLYGON, title=self.tr("Zones"), parent=self)
        self.field = QgsFieldComboBox(self)
        self.field.setAllowEmptyFieldName(True)
        self._layer = None
        form = rows(self)
        add_row(form, self.tr("&Zones"), self.zones, tip)
        add_row(
            form,
            self.tr("Name &field"),
            self.field,
            self.tr("Field that names a zone; without one the feature id does."),
        )
        self.setCollapsed(True)
        self.setSaveCollapsedState(False)
        self.zones.changed.connect(self._zones_changed)
        self.field.fieldChanged.connect(self.changed)

    def parameters(self) -> dict[str, str | None]:
        """``ZONES`` and ``ZONE_FIELD``."""
        zones = self.zones.value()
        return {"ZONES": zones, "ZONE_FIELD": self.field.currentField() if zones else None}

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember layer, field, and whether the box is open."""
        settings.setValue(f"{prefix}/zones", self.zones.source())
        settings.setValue(f"{prefix}/zone_field", self.field.currentField())
        settings.setValue(f"{prefix}/zones_open", not self.isCollapsed())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        self.zones.restore(settings.value(f"{prefix}/zones", "", type=str))
        self.field.setField(settings.value(f"{prefix}/zone_field", "", type=str))
        self.setCollapsed(not settings.value(f"{prefix}/zones_open", False, type=bool))

    def _zones_changed(self) -> None:
        self._layer = vector_layer(self.zones)  # kept: the field box does not own it
        self.field.setLayer(self._layer)
        self.changed.emit()
