"""The Land cover tab: a page that maps scenes, and a page that compares two maps."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtWidgets import QWidget

from .change_form import ChangeForm
from .form_page import FormPage
from .landcover_form import LandcoverForm
from .paged_tab import PagedTab
from .workspace import Workspace


class LandcoverTab(PagedTab):
    """Pages ``map`` and ``change``."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tip = self.tr("Run in the background; the results are added to the project")
        self.map = FormPage(
            LandcoverForm(workspace.canvas),
            workspace,
            algorithm="samescene:landcover",
            action=self.tr("Map land cover"),
            tip=tip,
        )
        self.change = FormPage(
            ChangeForm(workspace.canvas),
            workspace,
            algorithm="samescene:landcover_change",
            action=self.tr("Map the change"),
            tip=tip,
        )
        self.add_page("map", self.tr("Map"), self.map, self.tr("A land-cover map from scenes"))
        self.add_page("change", self.tr("Change"), self.change, self.tr("What changed between two land-cover maps"))

    def fill(self, given: dict[str, Any]) -> None:
        """Take over scenes and a model (``sources``, ``model``) from another tab."""
        self.turn_to("map")
        self.map.form.fill(sources=given.get("sources"), model=str(given.get("model") or ""))
