"""The advanced options of a training run."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QSpinBox, QWidget

from ..engine_client.settings import plugin_root
from ..processing.definitions import DEVICES
from ..processing.model_names import model_names
from ..processing.train_parameters import HEADS
from .form_parts import add_row, number, rows

AUTO, RANDOM = "auto", "random"


class TrainOptions(QgsCollapsibleGroupBox):
    """What a first run need not touch; the values are those of the command when untouched."""

    changed = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tr = self.tr
        self.setTitle(tr("Advanced"))
        self.setCollapsed(True)
        self.setSaveCollapsedState(False)
        self.head = QComboBox(self)
        for name, title in zip(
            HEADS, (tr("by the number of labels"), tr("each pixel (seconds)"), tr("network (minutes)"))
        ):
            self.head.addItem(title, name)
        self.encoder = QComboBox(self)
        self.encoder.setEditable(True)
        self.encoder.addItems([AUTO, RANDOM, *model_names(plugin_root(), "landcover")])
        self.encoder.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.time_limit = number(self, 0, 10_000, 0, 1, tr(" min"))
        self.time_limit.setSpecialValueText(tr("none"))
        self.block = number(self, 0, 1e6, 0, 0, " m")
        self.block.setSpecialValueText(tr("from the labels"))
        self.seed = QSpinBox(self)
        self.seed.setRange(0, 2**31 - 1)
        self.device = QComboBox(self)
        self.device.setEditable(True)
        self.device.addItems(DEVICES)
        self.wide = QCheckBox(tr("Points stand for 3 × 3 pixels"), self)
        self.wide.setToolTip(tr("A point labels the pixels around it too, not only the one that holds it."))
        self.register = QCheckBox(tr("Add the model to the list of models"), self)
        self.register.setChecked(True)
        self.overwrite = QCheckBox(tr("Replace results, and a model of this name"), self)
        form = rows(self)
        tip = tr(
            "pixel: a small model of each pixel's values, for a handful of labels; network: sees the surroundings too."
        )
        add_row(form, tr("Kind of model"), self.head, tip)
        tip = tr("Pretrained model whose features are used: auto where it fits, random for none, or one by name.")
        add_row(form, tr("Start from"), self.encoder, tip)
        add_row(form, tr("Time limit"), self.time_limit, tr("Training ends then and keeps the best model."))
        tip = tr("Labels are held out by squares of this side, never by pixel: neighbours are too alike.")
        add_row(form, tr("Side of blocks"), self.block, tip)
        add_row(form, tr("Seed"), self.seed, tr("The same seed gives the same model."))
        add_row(form, tr("Device"), self.device, tr("auto, cpu, cuda, cuda:N or mps."))
        form.addRow(self.wide)
        form.addRow(self.register)
        form.addRow(self.overwrite)
        for box in (self.time_limit, self.block, self.seed):
            box.valueChanged.connect(self.changed)
        for box in (self.head, self.encoder, self.device):
            box.currentTextChanged.connect(self.changed)
        for box in (self.wide, self.register, self.overwrite):
            box.toggled.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:train_landcover`` that stand here."""
        return {
            "HEAD": self.head.currentData(),
            "ENCODER": self.encoder.currentText().strip() or AUTO,
            "WIDE_POINTS": self.wide.isChecked(),
            "TIME_LIMIT": self.time_limit.value() or None,
            "BLOCK_M": self.block.value() or None,
            "SEED": self.seed.value(),
            "DEVICE": self.device.currentText().strip() or "auto",
            "REGISTER": self.register.isChecked(),
            "OVERWRITE": self.overwrite.isChecked(),
        }

    def save(self, settings: QgsSettings, prefix: str) -> None:
        """Remember what stays true from run to run (not replacing)."""
        settings.setValue(f"{prefix}/head", self.head.currentData())
        settings.setValue(f"{prefix}/time_limit", self.time_limit.value())
        settings.setValue(f"{prefix}/device", self.device.currentText())
        settings.setValue(f"{prefix}/advanced_open", not self.isCollapsed())

    def restore(self, settings: QgsSettings, prefix: str) -> None:
        """Fill in what :meth:`save` remembered."""
        self.head.setCurrentIndex(max(0, self.head.findData(settings.value(f"{prefix}/head", "", type=str))))
        self.time_limit.setValue(settings.value(f"{prefix}/time_limit", 0, type=float))
        self.device.setCurrentText(settings.value(f"{prefix}/device", "auto", type=str))
        self.setCollapsed(not settings.value(f"{prefix}/advanced_open", False, type=bool))
