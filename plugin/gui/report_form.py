"""The form of an accuracy report: a labelled sample, or points of one's own."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsSettings
from qgis.gui import QgsFieldComboBox, QgsFileWidget
from qgis.PyQt.QtWidgets import QCheckBox, QComboBox, QLabel, QWidget

from ..layers.sample import Sample, SampleError
from .form_page import Form
from .form_parts import OutputFolder, add_row, rows, stack
from .layer_picker import POINT, RASTER, LayerPicker, vector_layer
from .legend_choice import LegendChoice

_SETTINGS = "samescene/dock/report"
_WIDEST = "Output folder"
SAMPLE, LAYER = range(2)


class ReportForm(Form):
    """Fills the parameters of ``samescene:accuracy``."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tr = self.tr
        self.kind = QComboBox(self)
        self.kind.addItems([tr("a sample that was drawn here"), tr("points of my own (indicative)")])
        self.folder = QgsFileWidget(self)
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setDialogTitle(tr("Folder of the sample"))
        self.layer = LayerPicker(POINT, title=tr("Labelled points"), optional=False, parent=self)
        self.field = QgsFieldComboBox(self)
        self._points = None
        self.state = QLabel(self)
        self.state.setWordWrap(True)
        self.map = LayerPicker(RASTER, title=tr("Map"), parent=self)
        self.legend = LegendChoice(tr("that of the map"), self)
        self.out = OutputFolder(self)
        self.confident = QCheckBox(tr("Confident labels only"), self)
        self.confident.setToolTip(tr("Labels that were marked as not sure are left out, and counted."))
        self.overwrite = QCheckBox(tr("Replace results in the output folder"), self)
        form = rows()
        add_row(form, tr("&Labels from"), self.kind, as_wide_as=_WIDEST)
        sample, own = QWidget(self), QWidget(self)
        first, second = rows(sample), rows(own)
        for part in (first, second):
            part.setContentsMargins(0, 0, 0, 0)
        tip = tr("The folder with points.gpkg and design.json")
        add_row(first, tr("&Sample"), self.folder, tip, as_wide_as=_WIDEST)
        add_row(second, tr("&Points"), self.layer, tr("Points with a class code in a field"), as_wide_as=_WIDEST)
        add_row(second, tr("Label &field"), self.field, tr("Field that holds the class code"), as_wide_as=_WIDEST)
        self._parts = (sample, own)
        more = rows()
        tip = tr("Only where it is not the map that the sample was drawn for; its classes may differ from the strata.")
        add_row(more, tr("&Map"), self.map, tip, as_wide_as=_WIDEST)
        add_row(more, tr("Le&gend"), self.legend, tr("For the names of classes"), as_wide_as=_WIDEST)
        add_row(more, tr("&Output folder"), self.out, as_wide_as=_WIDEST)
        more.addRow(self.confident)
        more.addRow(self.overwrite)
        stack(self, form, sample, own, self.state, more)
        self._connect()
        self._show()

    def _connect(self) -> None:
        self.kind.currentIndexChanged.connect(self._show)
        self.folder.fileChanged.connect(self._show)
        self.layer.changed.connect(self._layer_changed)
        self.field.fieldChanged.connect(self.changed)
        for part in (self.map, self.legend):
            part.changed.connect(self.changed)
        self.out.fileChanged.connect(self.changed)
        for box in (self.confident, self.overwrite):
            box.toggled.connect(self.changed)

    def use(self, folder: str) -> None:
        """Take a sample by its folder, and look at how far it is."""
        self.kind.setCurrentIndex(SAMPLE)
        if folder != self.folder.filePath():
            self.folder.setFilePath(folder)
        self._show()

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:accuracy``; what is not used is left out."""
        own = self.kind.currentIndex() == LAYER
        values = {
            "SAMPLE_LAYER": self.layer.value() if own else None,
            "SAMPLE_FOLDER": None if own else self.folder.filePath().strip(),
            "LABEL_FIELD": self.field.currentField() if own else "label",
            "MAP": self.map.value(),
            "LEGEND": self.legend.value(),
            "CONFIDENT_ONLY": self.confident.isChecked(),
            "OVERWRITE": self.overwrite.isChecked(),
            "OUTPUT": self.out.folder(),
        }
        return {name: value for name, value in values.items() if value not in (None, "")}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        if self.kind.currentIndex() == LAYER:
            if not self.layer.value():
                return self.tr("Choose the layer of labelled points."), self.layer
            if not self.field.currentField():
                return self.tr("Choose the field that holds the class code."), self.field
            if not self.map.value():
                return self.tr("Choose the map that the points are compared with."), self.map
        else:
            if not self.folder.filePath().strip():
                return self.tr("Choose the folder of the sample."), self.folder
            sample, fault = self._sample()
            if sample is None:
                return fault, self.folder
            if sample.labelled == 0:
                return self.tr("No point of the sample has a label yet."), self.folder
        fault = self.out.fault(replace=self.overwrite.isChecked())
        return (fault, self.out) if fault else ("", None)

    def run_ended(self) -> None:
        """The folder of the run is full now: suggest another."""
        self.out.suggest(self._source(), "accuracy", anew=True)

    def save(self) -> None:
        """Remember the form for the next session."""
        QgsSettings().setValue(f"{_SETTINGS}/sample", self.folder.filePath())

    def restore(self) -> None:
        """Fill in what was remembered."""
        self.folder.setFilePath(QgsSettings().value(f"{_SETTINGS}/sample", "", type=str))

    def _source(self) -> str:
        if self.kind.currentIndex() == LAYER:
            return self.layer.source()
        return self.folder.filePath().strip()

    def _sample(self) -> tuple[Sample | None, str]:
        try:
            return Sample(self.folder.filePath().strip()), ""
        except SampleError as fault:
            return None, str(fault)

    def _layer_changed(self) -> None:
        self._points = vector_layer(self.layer)  # kept: the field box does not own it
        self.field.setLayer(self._points)
        if self._points is not None and self._points.fields().lookupField("label") >= 0:
            self.field.setField("label")
        self._show()

    def _show(self, *_) -> None:
        own = self.kind.currentIndex() == LAYER
        for part, shown in zip(self._parts, (not own, own)):
            part.setVisible(shown)
        text = ""
        if own:
            text = self.tr("Points that were not drawn at random say how the map does where they lie, no more.")
        elif self.folder.filePath().strip():
            sample, text = self._sample()
            if sample is not None:
                done, count = sample.labelled, len(sample.points)
                text = self.tr("{} of {} points are labelled.").format(done, count)
                if done < count:
                    text += " " + self.tr("Points without a label are left out and counted.")
        self.state.setText(text)
        self.state.setVisible(bool(text))
        self.out.suggest(self._source(), "accuracy")
        self.changed.emit()
