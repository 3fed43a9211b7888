"""One button for each class: its key, colour and name."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ..layers.legends import LegendClass
from .form_parts import hint
from .label_keys import CLASS_KEYS
from .legend_view import swatch


class LabelButtons(QWidget):
    """:attr:`chosen` carries the code of the class whose button was clicked."""

    chosen = pyqtSignal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._buttons: dict[int, QPushButton] = {}
        self._column = QVBoxLayout(self)
        self._column.setContentsMargins(0, 0, 0, 0)
        self._column.setSpacing(3)
        self._column.addStretch(1)

    def show_classes(self, classes: list[LegendClass]) -> None:
        """A button for each, in the order of the legend."""
        for button in self._buttons.values():
            self._column.removeWidget(button)
            button.hide()
            button.deleteLater()
        self._buttons = {}
        for place, one in enumerate(classes):
            key = CLASS_KEYS[place].upper() if place < len(CLASS_KEYS) else ""
            button = self._button(one, key)
            self._buttons[one.code] = button
            self._column.insertWidget(place, button)

    def check(self, code: int | None) -> None:
        """Show which class a point has; None for none."""
        for own, button in self._buttons.items():
            button.setChecked(own == code)

    def button(self, code: int) -> QPushButton:
        """The button of a class."""
        return self._buttons[code]

    def _button(self, one: LegendClass, key: str) -> QPushButton:
        button = QPushButton()
        button.setCheckable(True)
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setAccessibleName(f"{one.name}, {key}" if key else one.name)
        button.setToolTip(f"<b>{one.name}</b><br>{one.definition}" if one.definition else one.name)
        color, name, shortcut = QLabel(), QLabel(one.name), hint(key)
        color.setPixmap(swatch(one.color).pixmap(22, 14))
        name.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        shortcut.setWordWrap(False)
        row = QHBoxLayout(button)
        row.setContentsMargins(8, 3, 8, 3)
        row.setSpacing(8)
        row.addWidget(color)
        row.addWidget(name, 1)
        row.addWidget(shortcut)
        for part in (color, name, shortcut):
            part.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        button.setMinimumHeight(button.fontMetrics().height() + 12)
        button.clicked.connect(lambda: self.chosen.emit(one.code))
        return button
