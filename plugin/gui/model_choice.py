"""Which land-cover model: a combo box of those that are installed, a folder by a button, and what its card says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QFileDialog, QHBoxLayout, QToolButton, QWidget

from ..engine_client.settings import plugin_root
from ..processing.model_names import model_folders, model_names
from .icons import theme_icon

AUTO = "auto"
TASK = "landcover"
STARTERS = ("landcover", "landcover-s1s2")
"""What auto takes, by the sensors of the scenes; both know the same classes."""


class ModelChoice(QWidget):
    """:meth:`value` is auto, a name or a bundle folder; a folder may be typed into the box too."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.combo = QComboBox(self)
        self.combo.setEditable(True)
        self.combo.setMinimumContentsLength(8)
        self.combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.combo.setAccessibleName(self.tr("Model"))
        self.button = QToolButton(self)
        self.button.setIcon(theme_icon("mActionFileOpen.svg"))
        self.button.setToolTip(self.tr("Take a model folder (a bundle with card.json)"))
        self.button.setAccessibleName(self.button.toolTip())
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(4)
        row.addWidget(self.combo, 1)
        row.addWidget(self.button)
        self.setFocusProxy(self.combo)
        self.refresh()
        self.combo.currentTextChanged.connect(self._text_changed)
        self.button.clicked.connect(self._browse)

    def refresh(self) -> None:
        """Look again which models there are (one may have been trained); the choice stays."""
        value = self.value()
        self.combo.blockSignals(True)
        self.combo.clear()
        self.combo.addItems([AUTO, *model_names(plugin_root(), TASK)])
        self.combo.setCurrentText(value)
        self.combo.blockSignals(False)

    def value(self) -> str:
        """The model as the engine takes it."""
        return self.combo.currentText().strip() or AUTO

    def set_value(self, value: str) -> None:
        """Choose a model by name or folder."""
        self.combo.setCurrentText(value or AUTO)

    def parameters(self) -> dict[str, str]:
        """``MODEL``, or ``MODEL_FOLDER`` for a folder."""
        value = self.value()
        return {"MODEL_FOLDER": value} if is_folder(value) else {"MODEL": value}

    def card(self) -> dict[str, Any] | None:
        """The card of the chosen model, of auto one of those that it may take; None where there is no such model."""
        names = STARTERS if self.value() == AUTO else (self.value(),)
        return next((card for card in map(find_card, names) if card is not None), None)

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember the choice."""
        settings.setValue(f"{prefix}/model", self.value())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered, when it still exists."""
        value = settings.value(f"{prefix}/model", AUTO, type=str)
        self.set_value(value if value == AUTO or find_card(value) is not None else AUTO)

    def _text_changed(self) -> None:
        self.combo.setToolTip(self.value() if is_folder(self.value()) else "")
        self.changed.emit()

    def _browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Model folder"))
        if folder:
            self.set_value(folder)


def is_folder(value: str) -> bool:
    """Whether a model is named by its folder."""
    return "/" in value or "\\" in value


def find_card(name_or_folder: str) -> dict[str, Any] | None:
    """The card of a land-cover model by name or folder; None where there is none that can be read."""
    if is_folder(name_or_folder):
        places = [Path(name_or_folder)]
    else:
        places = [folder / name_or_folder for folder in model_folders(plugin_root())]
    for place in places:
        try:
            card = json.loads((place / "card.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(card, dict) and card.get("task") == TASK:
            return card
    return None
