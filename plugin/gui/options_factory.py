"""Tells QGIS of the options page; the page itself is imported when the dialog opens."""

from __future__ import annotations

from qgis.gui import QgsOptionsWidgetFactory

from .engine_setup import EngineSetup
from .icons import icon

PAGE_KEY = "samesceneOptions"


class SameSceneOptionsFactory(QgsOptionsWidgetFactory):
    """Settings ▸ Options ▸ SameScene."""

    def __init__(self, setup: EngineSetup) -> None:
        super().__init__()
        self._setup = setup
        self.setTitle("SameScene")

    def icon(self):
        """The plugin's icon."""
        return icon("samescene")

    def createWidget(self, parent):
        """The page, made for one opening of the dialog."""
        from .options_page import SameSceneOptionsPage

        return SameSceneOptionsPage(self._setup, parent)
