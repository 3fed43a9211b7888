"""The classes of a label layer: how many labels each has, and the colour, code and name that the map gives it."""

from __future__ import annotations

from qgis.gui import QgsColorButton
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtGui import QColor
from qgis.PyQt.QtWidgets import QAbstractItemView, QHeaderView, QTableWidget, QTableWidgetItem, QWidget

from ..processing.label_classes import MOST_CODES, LabelClass

VALUE, COUNT, COLOR, CODE, NAME = range(5)
_ROWS = 8


class ClassTable(QTableWidget):
    """One row a value of the class field. Code and name can be edited in place, the colour by its button."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(0, 5, parent)
        self.setHorizontalHeaderLabels(
            [self.tr("Label"), self.tr("Number"), self.tr("Colour"), self.tr("Code"), self.tr("Name")]
        )
        self.verticalHeader().hide()
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setAccessibleName(self.tr("Classes"))
        self.setToolTip(self.tr("Code and name may be edited (double click); two labels of one code become one class"))
        header = self.horizontalHeader()
        for column in (COUNT, COLOR, CODE):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        for column in (VALUE, NAME):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.Stretch)
        header.setMinimumSectionSize(30)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.itemChanged.connect(self._edited)
        self._fit()

    def show_classes(self, classes: list[LabelClass]) -> None:
        """A row for each class; their numbers follow by :meth:`show_counts`."""
        self.blockSignals(True)
        self.setRowCount(0)
        for row, one in enumerate(classes):
            self.insertRow(row)
            self._put(row, VALUE, one.value, editable=False)
            self._put(row, COUNT, "…", editable=False, right=True)
            self._put(row, CODE, str(one.code), right=True)
            self._put(row, NAME, one.name)
            button = QgsColorButton()
            button.setColor(QColor(one.color))
            button.setShowMenu(False)
            button.setColorDialogTitle(self.tr("Colour of {}").format(one.name))
            button.setAccessibleName(self.tr("Colour of {}").format(one.name))
            button.setMaximumWidth(44)
            button.colorChanged.connect(lambda *_: self.changed.emit())
            self.setCellWidget(row, COLOR, button)
        self.blockSignals(False)
        self._fit()
        self.changed.emit()

    def show_counts(self, counts: dict[str, int]) -> None:
        """Fill in how many labels there are of each value."""
        self.blockSignals(True)
        for row in range(self.rowCount()):
            self.item(row, COUNT).setText(str(counts.get(self.item(row, VALUE).text(), 0)))
        self.blockSignals(False)

    def classes(self) -> list[LabelClass]:
        """What stands in the table; a code that is no number from 1 to 254 is 0."""
        return [
            LabelClass(
                self.item(row, VALUE).text(),
                _code(self.item(row, CODE).text()),
                self.item(row, NAME).text().strip() or self.item(row, VALUE).text(),
                self.cellWidget(row, COLOR).color().name(),
            )
            for row in range(self.rowCount())
        ]

    def fault(self) -> str:
        """What is wrong with what was edited, or the empty string."""
        names: dict[int, str] = {}
        for one in self.classes():
            if not 1 <= one.code <= MOST_CODES:
                return self.tr("{}: the code must be a whole number from 1 to {}.").format(one.value, MOST_CODES)
            if names.setdefault(one.code, one.name) != one.name:
                return self.tr("The code {} stands for both {} and {}: give them one name, or two codes.").format(
                    one.code, names[one.code], one.name
                )
        if self.rowCount() and len(names) == 1:
            return self.tr("All labels have one code: a model needs at least two classes.")
        return ""

    def _put(self, row: int, column: int, text: str, *, editable: bool = True, right: bool = False) -> None:
        item = QTableWidgetItem(text)
        item.setToolTip(text)
        if not editable:
            item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        if right:
            item.setTextAlignment(int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter))
        self.setItem(row, column, item)

    def _edited(self, item: QTableWidgetItem) -> None:
        if item.column() in (CODE, NAME):
            self.changed.emit()

    def _fit(self) -> None:
        rows = min(max(2, self.rowCount()), _ROWS)
        height = self.rowHeight(0) if self.rowCount() else self.verticalHeader().defaultSectionSize()
        self.setFixedHeight(self.horizontalHeader().sizeHint().height() + rows * height + 2 * self.frameWidth() + 2)


def _code(text: str) -> int:
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
