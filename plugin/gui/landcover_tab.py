"""The Land cover tab: a page that maps scenes, and a page that compares two maps."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtWidgets import QWidget

from .form_page import FormPage
from .landcover_form import LandcoverForm
from .paged_tab import PagedTab
from .workspace import Workspace


class LandcoverTab(PagedTab):
    """Pages ``map`` and ``change``."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.add_page("map", self.tr("Map"), self._make_map, self.tr("A land-cover map from scenes"))
        tip = self.tr("What changed between two land-cover maps")
        self.add_page("change", self.tr("Change"), self._make_change, tip)

    @property
    def map(self) -> FormPage:
        """The page that maps scenes."""
        return self.page("map")

    @property
    def change(self) -> FormPage:
        """The page that compares two maps."""
        return self.page("change")

    def fill(self, given: dict[str, Any]) -> None:
        """Take over scenes and a model (``sources``, ``model``) from another tab."""
        self.turn_to("map")
        self.map.form.fill(sources=given.get("sources"), model=str(given.get("model") or ""))

    def _make_map(self) -> FormPage:
        return FormPage(
            LandcoverForm(self._workspace.canvas),
            self._workspace,
            algorithm="samescene:landcover",
            action=self.tr("Map land cover"),
            tip=self.tr("Run in the background; the results are added to the project"),
        )

    def _make_change(self) -> FormPage:
        from .change_form import ChangeForm

        return FormPage(
            ChangeForm(self._workspace.canvas),
            self._workspace,
            algorithm="samescene:landcover_change",
            action=self.tr("Map the change"),
            tip=self.tr("Run in the background; the results are added to the project"),
        )
