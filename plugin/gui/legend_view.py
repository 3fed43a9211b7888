"""The classes of a map before it is made: colour and name in a list, the definition of the chosen one below."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QColor, QIcon, QPainter, QPixmap
from qgis.PyQt.QtWidgets import QAbstractItemView, QFrame, QLabel, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from ..layers.legends import Legend
from .form_parts import hint

SWATCH = QSize(22, 14)


def swatch(color: str, size: QSize = SWATCH) -> QIcon:
    """A filled rectangle with a thin outline, as legends have it."""
    picture = QPixmap(size)
    picture.fill(QColor(color))
    painter = QPainter(picture)
    painter.setPen(QColor(0, 0, 0, 90))
    painter.drawRect(0, 0, size.width() - 1, size.height() - 1)
    painter.end()
    return QIcon(picture)


class LegendView(QWidget):
    """As high as it has classes: the form around it scrolls, not the list."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.list = QListWidget()
        self.list.setIconSize(SWATCH)
        self.list.setFrameShape(QFrame.Shape.NoFrame)
        self.list.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.list.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setAccessibleName(self.tr("Classes of the map"))
        self.list.viewport().setAutoFillBackground(False)
        self.definition = hint("")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.title)
        column.addWidget(self.list)
        column.addWidget(self.definition)
        self.list.currentItemChanged.connect(self._show_definition)

    def show_legend(self, legend: Legend | None, text: str = "") -> None:
        """Show the classes of a legend, with ``text`` above; without one the text alone."""
        self.title.setText(text)
        self.title.setVisible(bool(text))
        self.list.clear()
        for one in legend.classes if legend is not None else ():
            item = QListWidgetItem(swatch(one.color), f"{one.name}  ({one.code})")
            item.setToolTip(f"<b>{one.code} {one.name}</b><br>{one.definition}" if one.definition else one.name)
            item.setData(Qt.ItemDataRole.UserRole, one)
            self.list.addItem(item)
        rows = self.list.count()
        height = self.list.sizeHintForRow(0) if rows else 0
        self.list.setFixedHeight(rows * height + 2 if rows else 0)
        self.list.setVisible(rows > 0)
        self._show_definition(None)

    def classes(self) -> list[tuple[int, str, str]]:
        """Code, name and tool tip of what is shown."""
        items = (self.list.item(row) for row in range(self.list.count()))
        return [
            (item.data(Qt.ItemDataRole.UserRole).code, item.data(Qt.ItemDataRole.UserRole).name, item.toolTip())
            for item in items
        ]

    def _show_definition(self, item, _before=None) -> None:
        one = item.data(Qt.ItemDataRole.UserRole) if item is not None else None
        if one is None:
            text = self.tr("Choose a class to read its definition.") if self.list.count() else ""
        else:
            text = one.definition or self.tr("{}: no definition is written down.").format(one.name)
        self.definition.setText(text)
        self.definition.setVisible(bool(text))
