"""The dock: tabs that fill parameters of the plugin's algorithms, and a Runs tab that shows what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsSettings
from qgis.gui import QgsDockWidget
from qgis.PyQt.QtWidgets import QVBoxLayout, QWidget

from ..engine_client.runs import RunRegistry
from .engine_banner import EngineBanner
from .engine_setup import EngineSetup
from .form_page import FormPage
from .icons import icon, theme_icon
from .read_ahead import ReadAhead
from .runs_panel import RunsPanel
from .tabs import DockTabs
from .workspace import Workspace

if TYPE_CHECKING:
    from .accuracy_tab import AccuracyTab
    from .landcover_tab import LandcoverTab
    from .locate.tab import LocateTab
    from .train_tab import TrainTab

_TAB = "samescene/dock/tab"


class SameSceneDock(QgsDockWidget):
    """SameScene's panel; made on first use, shut down by the plugin's unload."""

    def __init__(self, iface, registry: RunRegistry, setup: EngineSetup) -> None:
        super().__init__("SameScene", iface.mainWindow())
        self.setObjectName("SameSceneDock")
        self.setWindowIcon(icon("samescene"))
        self.banner = EngineBanner(iface, setup)
        self.runs = RunsPanel(iface, registry)
        self.workspace = Workspace(iface, registry, self.banner, self.runs, self)
        self.tabs = DockTabs()
        self.tabs.add("flood", icon("flood"), self.tr("Flood"), self._make_flood)
        self.tabs.add("landcover", icon("landcover"), self.tr("Land cover"), self._make_landcover)
        self.tabs.add("locate", icon("locate"), self.tr("Locate"), self._make_locate)
        self.tabs.add("train", icon("train-landcover"), self.tr("Train"), self._make_train)
        self.tabs.add("accuracy", icon("accuracy"), self.tr("Accuracy"), self._make_accuracy)
        self.tabs.add("runs", theme_icon("mActionHistory.svg"), self.tr("Runs"), lambda: self.runs)
        content = QWidget()
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(0)
        column.addWidget(self.banner)
        column.addWidget(self.tabs, 1)
        self.setWidget(content)
        self.setMinimumWidth(320)
        self.runs.cancelled.connect(self.workspace.runner.cancel_folder)
        self.workspace.asked.connect(self.show_tab)
        last = QgsSettings().value(_TAB, "flood", type=str)
        if last in self.tabs.names and last != "runs":
            self.tabs.show_tab(last)
        self._ahead = ReadAhead((__package__, f"{__package__}.locate"), self)

    @property
    def flood(self) -> FormPage:
        """The Flood tab."""
        return self.tabs.page("flood")

    @property
    def landcover(self) -> LandcoverTab:
        """The Land cover tab."""
        return self.tabs.page("landcover")

    @property
    def locate(self) -> LocateTab:
        """The Locate tab."""
        return self.tabs.page("locate")

    @property
    def train(self) -> TrainTab:
        """The Train tab."""
        return self.tabs.page("train")

    @property
    def accuracy(self) -> AccuracyTab:
        """The Accuracy tab."""
        return self.tabs.page("accuracy")

    def show_tab(self, name: str, fill: dict | None = None) -> QWidget:
        """Bring a tab to the front and fill it in; its page."""
        page = self.tabs.show_tab(name)
        if fill:
            page.fill(fill)
        return page

    def shut_down(self) -> None:
        """Cancel what runs and wait for it, remember the forms, give the map its tool back."""
        QgsSettings().setValue(_TAB, self.tabs.current)
        self._ahead.stop()
        self.workspace.runner.shut_down()
        self.runs.shut_down()
        for page in self.tabs.made():
            if page is not self.runs:
                page.shut_down()
        self.workspace.shut_down()
        self.banner.shut_down()

    def _make_flood(self) -> FormPage:
        from .flood_form import FloodForm

        return FormPage(
            FloodForm(self.workspace.canvas),
            self.workspace,
            algorithm="samescene:flood",
            action=self.tr("Map flood"),
            tip=self.tr("Run in the background; the results are added to the project"),
        )

    def _make_landcover(self) -> LandcoverTab:
        from .landcover_tab import LandcoverTab

        return LandcoverTab(self.workspace)

    def _make_locate(self) -> LocateTab:
        from .locate.tab import LocateTab

        return LocateTab(self.workspace)

    def _make_train(self) -> TrainTab:
        from .train_tab import TrainTab

        return TrainTab(self.workspace)

    def _make_accuracy(self) -> AccuracyTab:
        from .accuracy_tab import AccuracyTab

        return AccuracyTab(self.workspace)
