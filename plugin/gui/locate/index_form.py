"""The form of an index: which imagery, which region, how it is described, and what that would take."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import QgsProcessingContext, QgsProject, QgsRasterLayer, QgsSettings
from qgis.gui import QgsCollapsibleGroupBox
from qgis.PyQt.QtWidgets import QComboBox, QLineEdit, QWidget

from ..form_page import Form
from ..form_parts import OutputFolder, add_row, hint, number, rows, stack
from .estimate import Estimate, Question
from .index_facts import CARD, IndexFacts, building_folder
from .library_panel import LibraryPanel
from .method_choice import MethodChoice
from .reference_picker import ReferencePicker
from .region_picker import RegionPicker

_SETTINGS = "samescene/dock/locate-index"
_WIDEST = "Output folder"
ADD, ANEW = range(2)


class IndexForm(Form):
    """Fills the parameters of ``samescene:locate_index``; ``panel`` (the indexes made earlier) stands above it."""

    def __init__(self, canvas, photos, panel: LibraryPanel | None = None, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.panel, self._canvas = panel, canvas
        self.reference = ReferencePicker(self)
        self.region = RegionPicker(canvas, photos, self)
        self.method = MethodChoice(self)
        self.worth = hint("", self)
        self.cell = number(self, 4, 1000, 4, 0, " m")
        self.cell.setSpecialValueText(self.tr("what suits the method"))
        self.date = QLineEdit(self)
        self.date.setPlaceholderText(self.tr("what the file says"))
        self.attribution = QLineEdit(self)
        self.existing = QComboBox(self)
        self.existing.addItem(self.tr("Add the region to it"))
        self.existing.addItem(self.tr("Make it anew"))
        self.out = OutputFolder(self)
        self.estimate = Estimate(self._question, self)
        self._lay_out()
        self._connect()
        self._show()

    def _lay_out(self) -> None:
        tr = self.tr
        upper = rows()
        tip = tr("Imagery seen from above; its ground is compared with that around the camera")
        add_row(upper, tr("Reference"), self.reference, tip, as_wide_as=_WIDEST)
        upper.addRow("", self.reference.note)
        add_row(upper, tr("R&egion"), self.region, as_wide_as=_WIDEST)
        add_row(upper, tr("&Method"), self.method, as_wide_as=_WIDEST)
        upper.addRow("", self.worth)
        self.advanced = QgsCollapsibleGroupBox(tr("Advanced"), self)
        self.advanced.setSaveCollapsedState(False)
        more = rows(self.advanced)
        tip = tr("Metres between the places that are described; smaller is slower and finds more exactly")
        add_row(more, tr("&Cells"), self.cell, tip)
        add_row(more, tr("Imagery &date"), self.date, tr("When the imagery was taken; kept and shown"))
        tip = tr("Whom the imagery's licence asks to name; kept in the index and shown in reports")
        add_row(more, tr("&Attribution"), self.attribution, tip)
        self.advanced.setCollapsed(True)
        lower = rows()
        self._lower = lower
        add_row(lower, tr("&Output folder"), self.out, tr("Folder of the index; made if absent"), as_wide_as=_WIDEST)
        add_row(lower, tr("It exists"), self.existing, tr("The folder holds an index already"), as_wide_as=_WIDEST)
        above = () if self.panel is None else (self.panel,)
        stack(self, *above, upper, self.advanced, lower, self.estimate)

    def _connect(self) -> None:
        self.reference.changed.connect(self._reference_changed)
        self.region.changed.connect(self._changed)
        self.method.changed.connect(self._changed)
        self.cell.valueChanged.connect(self._changed)
        self.out.fileChanged.connect(self._changed)
        self.existing.currentIndexChanged.connect(self._changed)
        for line in (self.date, self.attribution):
            line.textChanged.connect(self.changed)

    def parameters(self) -> dict[str, Any]:
        """The parameters of ``samescene:locate_index``; what is not used is left out."""
        there = self._there()
        values = {
            **self._asked(),
            "IMAGERY_DATE": self.date.text().strip(),
            "ATTRIBUTION": self.attribution.text().strip() or self.reference.attribution(),
            "UPDATE": True if there and self.existing.currentIndex() == ADD else None,
            "OVERWRITE": True if there and self.existing.currentIndex() == ANEW else None,
            "OUTPUT": self.out.folder(),
            "LOAD_RESULTS": False,
        }
        return {name: value for name, value in values.items() if value not in (None, "")}

    def fault(self) -> tuple[str, QWidget | None]:
        """What keeps the run from starting, and the widget to mend it in."""
        for part in (self.reference, self.region):
            if part.fault():
                return part.fault(), part
        fault = self.out.fault(replace=self._there())
        return (fault, self.out) if fault else ("", None)

    def extend(self, facts: IndexFacts) -> None:
        """Fill in what an index was made from, so that cells can be added to it."""
        if not facts.was_drawn:  # else only the layer that was drawn can show more ground
            self.reference.use(facts.reference)
        self.method.set_value(facts.method)
        self.cell.setValue(facts.cell_m)
        self.date.setText(facts.imagery_date)
        self.attribution.setText(facts.attribution)
        self.existing.setCurrentIndex(ADD)
        self.out.setFilePath(facts.folder)

    def run_ended(self) -> None:
        """Where the folder is full now another is suggested; one that was stopped is gone on with."""
        if self._there():
            self.out.suggest(self._called(), "index", anew=True)

    def shut_down(self) -> None:
        """Give the map its tool back and stop estimating."""
        self.estimate.shut_down()
        self.region.close_tool()
        if self.panel is not None:
            self.panel.shut_down()

    def save(self) -> None:
        """Remember the form for the next session."""
        settings = QgsSettings()
        for part in (self.reference, self.region, self.method):
            part.save(settings, _SETTINGS)
        settings.setValue(f"{_SETTINGS}/cell", self.cell.value())

    def restore(self) -> None:
        """Fill in what was remembered, as far as it still exists."""
        settings = QgsSettings()
        for part in (self.reference, self.region, self.method):
            part.restore(settings, _SETTINGS)
        self.cell.setValue(settings.value(f"{_SETTINGS}/cell", self.cell.minimum(), type=float))
        if self.reference.value() is None:
            self._choose_first_raster()

    def showEvent(self, event):
        super().showEvent(event)
        self.region.show_on_map(True)

    def hideEvent(self, event):
        super().hideEvent(event)
        self.region.show_on_map(False)

    def _asked(self) -> dict[str, Any]:
        """The parameters that estimate and index have in common."""
        cell = self.cell.value()
        values = {
            **self.reference.parameters(),
            **self.region.parameters(),
            **self.method.parameters(),
            "CELL": cell if cell > self.cell.minimum() else None,
        }
        return {name: value for name, value in values.items() if value not in (None, "")}

    def _question(self) -> Question:
        if self.reference.value() is None or self.region.fault():
            return Question()
        if self.reference.fault():
            return Question(missing=self.reference.fault())
        adding = self._there() and self.existing.currentIndex() == ADD
        folder = self.out.folder() if adding else ""
        key = (self.reference.source(), self.region.key(), self.method.value(), self.cell.value(), folder)
        return Question(key, lambda: self._plan_params(folder))

    def _plan_params(self, folder: str) -> dict[str, Any]:
        from ...processing.locate_plan import plan_request

        context = QgsProcessingContext()
        context.setProject(QgsProject.instance())
        update = {"UPDATE": True, "OUTPUT": folder} if folder else {}
        return plan_request({**self._asked(), **update}, context)

    def _there(self) -> bool:
        """Whether the output folder holds an index."""
        folder = self.out.folder()
        return bool(folder) and (Path(folder) / CARD).is_file()

    def _called(self) -> str:
        """What the folder is called after: a file's path, else the layer's name or the server."""
        layer = self.reference.chosen_layer()
        source = self.reference.source()
        if Path(source.split("|")[0]).exists() or not source:
            return source
        name = layer.name() if layer is not None else source.split("://")[-1].split("/")[0]
        return "".join(c if c.isalnum() or c in "-_ " else "_" for c in name).strip() or "reference"

    def _choose_first_raster(self) -> None:
        """The uppermost imagery that the map shows is the likeliest reference."""
        for layer in self._canvas.layers():
            if isinstance(layer, QgsRasterLayer) and (layer.bandCount() >= 3 or layer.providerType() != "gdal"):
                self.reference.layer.set_layer(layer)
                return

    def _reference_changed(self) -> None:
        self.attribution.setPlaceholderText(self.reference.attribution() or self.tr("nobody"))
        self._suggest()
        self._changed()

    def _suggest(self) -> None:
        folder = self.out.folder()
        if folder and building_folder(folder).is_dir():
            return  # what was stopped there goes on under the same name
        self.out.suggest(self._called(), "index")

    def _changed(self, *_) -> None:
        self._show()
        self.estimate.ask()
        self.changed.emit()

    def _show(self) -> None:
        self.worth.setText(self.method.explained())
        there = self._there()
        self.existing.setVisible(there)
        self._lower.labelForField(self.existing).setVisible(there)
