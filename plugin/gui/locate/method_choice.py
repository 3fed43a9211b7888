"""Which method describes or compares: auto, geometric, fused, or a cross-view model by name or folder."""

from __future__ import annotations

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QSignalBlocker, pyqtSignal
from qgis.PyQt.QtWidgets import QComboBox, QWidget

from ...engine_client.settings import plugin_root
from ...processing.model_names import model_names
from ..model_choice import is_folder

AUTO, GEOMETRIC, FUSED = "auto", "geometric", "fused"
STARTER = "crossview"
"""The model that fused needs."""
TASK = "crossview"


class MethodChoice(QComboBox):
    """:meth:`value` is a method, the name of a model, or a folder that was typed in."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setEditable(True)
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setAccessibleName(self.tr("Method"))
        self.refresh()
        self.currentTextChanged.connect(self._text_changed)

    def names(self) -> list[str]:
        """The methods and models that are there."""
        models = model_names(plugin_root(), TASK)
        return [AUTO, GEOMETRIC, *([FUSED] if STARTER in models else []), *models]

    def refresh(self) -> None:
        """Look again which models there are (one may have been trained); the choice stays."""
        value = self.value()
        with QSignalBlocker(self):
            self.clear()
            self.addItems(self.names())
            self.setCurrentText(value)

    def value(self) -> str:
        """The method as the engine takes it."""
        return self.currentText().strip() or AUTO

    def parameters(self) -> dict[str, str]:
        """``METHOD``, or ``MODEL_FOLDER`` for a folder that was typed in."""
        value = self.value()
        return {"MODEL_FOLDER": value} if is_folder(value) else {"METHOD": value}

    def set_value(self, value: str) -> None:
        """Choose a method, a model, or a folder."""
        self.setCurrentText(value or AUTO)

    def explained(self) -> str:
        """What the chosen method is, in a sentence."""
        value = self.value()
        if value == AUTO:
            value = FUSED if STARTER in self.names() else GEOMETRIC
        if value == GEOMETRIC:
            return self.tr(
                "Geometric: compares the ground around the camera with the imagery. Needs no training; often wrong at "
                "the first guess."
            )
        if value == FUSED:
            return self.tr("Fused: a trained model finds places; the best are looked at again, turned over imagery.")
        return self.tr("Model {}: as good as the ground that it was trained on is like this one.").format(value)

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember the choice."""
        settings.setValue(f"{prefix}/method", self.value())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered, as long as it is still offered."""
        value = settings.value(f"{prefix}/method", AUTO, type=str)
        self.set_value(value if value in self.names() else AUTO)

    def _text_changed(self) -> None:
        self.setToolTip(self.value() if is_folder(self.value()) else self.explained())
        self.changed.emit()
