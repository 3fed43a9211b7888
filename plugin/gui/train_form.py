"""The form of a training run: scenes, labels with their classes, and what kind of model."""

from __future__ import annotations

import re
from typing import Any

from qgis.core import QgsApplication, QgsRasterLayer, QgsSettings, QgsVectorLayer
from qgis.gui import QgsFieldComboBox
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QLabel, QLineEdit, QWidget

from ..processing.label_classes import LabelClass, class_colors_json, label_classes
from ..tasks import stop_task
from .class_table import ClassTable
from .form_page import Form
from .form_parts import OutputFolder, add_row, rows, stack
from .label_checks import Remark, remarks, summary
from .label_count import LabelCount
from .layer_picker import LABELS, LayerPicker, vector_layer
from .scene_list import SceneList
from .train_options import TrainOptions

_SETTINGS = "samescene/dock/train"
_WIDEST = "Output folder"
MOST_CLASSES = 60
_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
_USUAL = ("class", "label", "code", "class_name", "classname", "landcover", "lc", "type", "name")


class TrainForm(Form):
    """Fills the parameters of ``samescene:train_landcover``."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._layer: QgsVectorLayer | None = None
        self._count: LabelCount | None = None
        self._counts: dict[str, int] | None = None
        self._without = 0
        self._too_many = False
        self.scenes = SceneList(self.tr("Sentinel-2, Sentinel-1, or both, as for a map; bands by name"), self)
        self.labels = LayerPicker(LABELS, title=self.tr("Labels"), optional=False, parent=self)
        self.field = QgsFieldComboBox(self)
        self.table = ClassTable(self)
        self.checks = QLabel(self)
        self.checks.setWordWrap(True)
        self.checks.setTextFormat(Qt.TextFormat.RichText)
        self.name = QLineEdit("my-landcover", self)
        self.options = TrainOptions(self)
        self.out = OutputFolder(self)
        self._lay_out()
        self._connect()
        self._look_at_labels()

    def _lay_out(self) -> None:
        tr = self.tr
        upper = rows()
        add_row(upper, tr("&Scenes"), self.scenes, as_wide_as=_WIDEST)
        tip = tr("Polygons or points of known land cover on the scene; any CRS. Several places for each class.")
        add_row(upper, tr("&Labels"), self.labels, tip, as_wide_as=_WIDEST)
        tip = tr("Field that holds the class: a number from 1 to 254, or a name.")
        add_row(upper, tr("Class &field"), self.field, tip, as_wide_as=_WIDEST)
        lower = rows()
        tip = tr("Small letters, digits, '-', '_' and '.'; the list of models shows it.")
        add_row(lower, tr("Model &name"), self.name, tip, as_wide_as=_WIDEST)
        add_row(lower, tr("&Output folder"), self.out, as_wide_as=_WIDEST)
        stack(self, upper, self.table, self.checks, lower, self.options)

    def _connect(self) -> None:
        self.scenes.changed.connect(self._scenes_changed)
        self.labels.changed.connect(self._labels_changed)
        self.field.fieldChanged.connect(self._look_at_labels)
        self.table.changed.connect(self._table_changed)
        self.name.textChanged.connect(self.changed)
        self.options.changed.connect(self.changed)
        self.out.fileChanged.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:train_landcover``; what is not used is left out."""
        values = {
            "SCENES": self.scenes.values(),
            "LABELS": self.labels.value(),
            "CLASS_FIELD": self.field.currentField(),
            "CLASS_COLORS": class_colors_json(self.table.classes()) if self.table.rowCount() else "",
            "MODEL_NAME": self.name.text().strip(),
            "OUTPUT": self.out.folder(),
            **self.options.parameters(),
        }
        return {name: value for name, value in values.items() if value not in (None, "", [])}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        if not self.scenes.values():
            return self.tr("Choose the scene that the labels lie on."), self.scenes
        if self.scenes.duplicate():
            return self.tr("One scene stands in the list twice."), self.scenes
        if self._layer is None:
            return self.tr("Choose the layer of labels: polygons or points."), self.labels
        if not self.field.currentField():
            return self.tr("Choose the field that holds the class."), self.field
        fatal = next((one.text for one in self._remarks() if one.fatal), "")
        if fatal:
            return fatal, self.labels
        fault = self.table.fault()
        if fault:
            return fault, self.table
        if not _NAME.match(self.name.text().strip()):
            return self.tr("Name the model with small letters, digits, '-', '_' and '.'."), self.name
        fault = self.out.fault(replace=self.options.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self.out.suggest(self._first(), "model", anew=True)

    def scene_layers(self) -> list[QgsRasterLayer]:
        """The scenes as layers; files that are not in the project are opened."""
        found = []
        for picker in self.scenes.pickers():
            layer = picker.layer()
            if layer is None and picker.path():
                layer = QgsRasterLayer(picker.path(), picker.path().rsplit("/", 1)[-1])
            if layer is not None and layer.isValid():
                found.append(layer)
        return found

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        self.scenes.save(settings, f"{_SETTINGS}/scenes")
        settings.setValue(f"{_SETTINGS}/labels", self.labels.source())
        settings.setValue(f"{_SETTINGS}/field", self.field.currentField())
        settings.setValue(f"{_SETTINGS}/name", self.name.text())
        self.options.save(settings, _SETTINGS)

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        self.scenes.restore(settings, f"{_SETTINGS}/scenes")
        self.labels.restore(settings.value(f"{_SETTINGS}/labels", "", type=str))
        field = settings.value(f"{_SETTINGS}/field", "", type=str)
        if field and self._layer is not None and self._layer.fields().lookupField(field) >= 0:
            self.field.setField(field)
        self.name.setText(settings.value(f"{_SETTINGS}/name", self.name.text(), type=str))
        self.options.restore(settings, _SETTINGS)

    def shut_down(self) -> None:
        """Stop counting."""
        self._stop_count(wait=True)

    def _first(self) -> str:
        return next(iter(self.scenes.sources()), "")

    def _scenes_changed(self) -> None:
        self.out.suggest(self._first(), "model")
        self._show_checks()
        self.changed.emit()

    def _labels_changed(self) -> None:
        self._layer = vector_layer(self.labels)  # kept: the field box does not own it
        self.field.setLayer(self._layer)
        if self._layer is not None:
            names = {name.lower(): name for name in self._layer.fields().names()}
            usual = next((names[name] for name in _USUAL if name in names), None)
            if usual:
                self.field.setField(usual)
        self._look_at_labels()

    def _look_at_labels(self, *_) -> None:
        self._stop_count()
        field = self.field.currentField()
        classes: list[LabelClass] = []
        at = self._layer.fields().lookupField(field) if self._layer is not None and field else -1
        self._too_many = at >= 0 and len(self._layer.uniqueValues(at, MOST_CLASSES + 2)) > MOST_CLASSES + 1
        if at >= 0 and not self._too_many:
            classes = label_classes(self._layer, self._layer, field)
            self._count = LabelCount(self._layer, field)
            self._count.taskCompleted.connect(self._counted)
            QgsApplication.taskManager().addTask(self._count)
        self.table.setVisible(bool(classes))
        self.table.show_classes(classes)
        self._show_checks()

    def _counted(self) -> None:
        if self._count is None:
            return
        self._counts, self._without = self._count.counts, self._count.without
        self.table.show_counts(self._counts)
        self._count = None
        self._show_checks()
        self.changed.emit()

    def _stop_count(self, *, wait: bool = False) -> None:
        task, self._count, self._counts, self._without = self._count, None, None, 0
        if task is not None and not task.done:
            task.taskCompleted.disconnect(self._counted)
            stop_task(task, 5 if wait else 0)

    def _table_changed(self) -> None:
        self._show_checks()
        self.changed.emit()

    def _remarks(self) -> list[Remark]:
        if self._layer is None or not self.field.currentField():
            return []
        if self._too_many:
            text = self.tr(
                "The field {} holds more than {} different values: is it the class? (The toolbox takes up to 254.)"
            )
            return [Remark(text.format(self.field.currentField(), MOST_CLASSES), True)]
        scene = next(iter(self.scene_layers()), None)
        return remarks(self.tr, self._layer, self.table.classes(), self._counts, self._without, scene)

    def _show_checks(self) -> None:
        lines = []
        if self._layer is not None and self.field.currentField():
            if not self._too_many:
                lines.append(summary(self.tr, self.table.classes(), self._counts))
            for one in self._remarks()[:6]:
                color = "#c92a2a" if one.fatal else "#a15c00"
                lines.append(f'<span style="color:{color}">●</span> {_escaped(one.text)}')
        self.checks.setText("<br>".join(lines))
        self.checks.setVisible(bool(lines))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
