"""The advanced options of a training on one's own area."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QSpinBox, QWidget

from ...engine_client.settings import plugin_root
from ...processing.definitions import DEVICES
from ...processing.locate_learn_parameters import HEADINGS, SIZES
from ...processing.model_names import model_names
from ..form_parts import add_row, narrow_combo, number, rows
from ..model_choice import is_folder

AUTO, RANDOM = "auto", "random"


class LearnOptions(QgsCollapsibleGroupBox):
    """What a first run need not touch; the values are those of the command when untouched."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tr = self.tr
        self.setTitle(tr("Advanced"))
        self.setCollapsed(True)
        self.setSaveCollapsedState(False)
        self.start = narrow_combo(self)
        self.start.setEditable(True)
        self.start.addItems([AUTO, RANDOM, *model_names(plugin_root(), "crossview")])
        self.size_ = narrow_combo(self)
        for name, title in zip(SIZES, (tr("small (processor)"), tr("medium (GPU)"), tr("large (GPU)"))):
            self.size_.addItem(title, name)
        self.steps = QSpinBox(self)
        self.steps.setRange(0, 1_000_000)
        self.steps.setSingleStep(100)
        self.steps.setSpecialValueText(tr("by the photos"))
        self.steps.setGroupSeparatorShown(True)
        self.heading = narrow_combo(self)
        titles = (tr("where most files tell one"), tr("believed"), tr("not believed"))
        for name, title in zip(HEADINGS, titles):
            self.heading.addItem(title, name)
        self.cell = number(self, 5, 1000, 30, 0, " m")
        self.apart = number(self, 0, 50, 20, 0, " %")
        self.camera = number(self, 0.2, 100, 2.5, 1, " m")
        self.seed = QSpinBox(self)
        self.seed.setRange(0, 2**31 - 1)
        self.device = narrow_combo(self)
        self.device.setEditable(True)
        self.device.addItems(DEVICES)
        self.register = QCheckBox(tr("Add the model to the list of models"), self)
        self.register.setChecked(True)
        self.overwrite = QCheckBox(tr("Replace results, and a model of this name"), self)
        self._lay_out()
        for box in (self.steps, self.cell, self.apart, self.camera, self.seed):
            box.valueChanged.connect(self.changed)
        for box in (self.start, self.size_, self.heading, self.device):
            box.currentTextChanged.connect(self.changed)
        for box in (self.register, self.overwrite):
            box.toggled.connect(self.changed)

    def _lay_out(self) -> None:
        tr = self.tr
        form = rows(self)
        tip = tr("A cross-view model by name or folder; random: none; auto: the starter model where it is installed.")
        add_row(form, tr("Start from"), self.start, tip)
        tip = tr("Of a network that starts at random. Medium and large are for a GPU and many hundreds of photos.")
        add_row(form, tr("Network"), self.size_, tip)
        tip = tr("The more the longer; a small network does about two a second on a processor.")
        add_row(form, tr("Steps"), self.steps, tip)
        tip = tr("Directions in the photos' files. Those not known are looked for with the places.")
        add_row(form, tr("Headings"), self.heading, tip)
        add_row(form, tr("Tiles every"), self.cell, tr("How far apart tiles are cut from the imagery"))
        tip = tr("Of the photos of known position: not learned from, to measure the model")
        add_row(form, tr("Kept apart"), self.apart, tip)
        tip = tr("Above the ground: about 1.6 m for a person, 2.5 m for a car")
        add_row(form, tr("Camera height"), self.camera, tip)
        add_row(form, tr("Seed"), self.seed, tr("The same seed gives the same model."))
        add_row(form, tr("Device"), self.device, tr("auto, cpu, cuda, cuda:N or mps."))
        form.addRow(self.register)
        form.addRow(self.overwrite)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:locate_learn`` that stand here."""
        start = self.start.currentText().strip() or AUTO
        return {
            "START": AUTO if is_folder(start) else start,
            "START_FOLDER": start if is_folder(start) else None,
            "SIZE": self.size_.currentData(),
            "STEPS": self.steps.value() or None,
            "HEADING": self.heading.currentData(),
            "CELL": self.cell.value(),
            "APART": self.apart.value() / 100,
            "CAMERA_HEIGHT": self.camera.value(),
            "SEED": self.seed.value(),
            "DEVICE": self.device.currentText().strip() or "auto",
            "REGISTER": self.register.isChecked(),
            "OVERWRITE": self.overwrite.isChecked(),
        }

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember what stays true from run to run (not replacing)."""
        settings.setValue(f"{prefix}/size", self.size_.currentData())
        settings.setValue(f"{prefix}/camera", self.camera.value())
        settings.setValue(f"{prefix}/device", self.device.currentText())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        self.size_.setCurrentIndex(max(0, self.size_.findData(settings.value(f"{prefix}/size", "", type=str))))
        self.camera.setValue(settings.value(f"{prefix}/camera", 2.5, type=float))
        self.device.setCurrentText(settings.value(f"{prefix}/device", "auto", type=str))
