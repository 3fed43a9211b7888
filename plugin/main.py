"""The plugin as QGIS sees it: provider, toolbar button, menu entry, options page, dock; and a clean end.

Only what QGIS needs to show a button is imported here. The dock and all that computes are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qgis.core import QgsApplication, QgsSettings
from qgis.PyQt.QtCore import QCoreApplication, QObject, Qt, QTimer

from .compat import QAction
from .gui.icons import icon

if TYPE_CHECKING:
    from .gui.dock import SameSceneDock

_DOCK_OPEN = "samescene/dock/open"


def tr(text: str) -> str:
    """The text in the user's language."""
    return QCoreApplication.translate("SameScene", text)


class SameScenePlugin(QObject):
    """Made by ``classFactory``; ``iface`` is None in ``qgis_process``, which only calls :meth:`initProcessing`."""

    def __init__(self, iface) -> None:
        super().__init__()
        self.iface = iface
        self.registry = None
        self.provider = None
        self.setup = None
        self.dock: SameSceneDock | None = None
        self.action: QAction | None = None
        self._options_factory = None
        self._unloaded = False

    def initProcessing(self) -> None:
        """Register the Processing provider; also called by ``qgis_process``."""
        from .engine_client.runs import RunRegistry
        from .processing.provider import SameSceneProvider

        self.registry = RunRegistry()
        self.provider = SameSceneProvider(self.registry)
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:
        """Add the provider, the button, the menu entry and the options page; the dock comes when it is asked for."""
        self.initProcessing()
        self.action = QAction(icon("samescene"), "SameScene", self.iface.mainWindow())
        self.action.setObjectName("samesceneShowDock")
        self.action.setCheckable(True)
        self.action.setToolTip(tr("Flood and land-cover maps from Sentinel-1 and Sentinel-2 (SameScene)"))
        self.action.setStatusTip(tr("Show or hide the SameScene panel"))
        self.action.toggled.connect(self._toggled)
        self.iface.addToolBarIcon(self.action)
        self.iface.rasterMenu().addAction(self.action)
        from .gui.engine_setup import EngineSetup
        from .gui.options_factory import SameSceneOptionsFactory

        self.setup = EngineSetup(self)
        self._options_factory = SameSceneOptionsFactory(self.setup)
        self.iface.registerOptionsWidgetFactory(self._options_factory)
        if QgsSettings().value(_DOCK_OPEN, False, type=bool):
            QTimer.singleShot(0, self._show_again)

    def unload(self) -> None:
        """Stop what runs and wait for it, then take away everything that was added."""
        self._unloaded = True
        if self.dock is not None:
            QgsSettings().setValue(_DOCK_OPEN, not self.dock.isHidden())
            self.dock.shut_down()
            self.iface.removeDockWidget(self.dock)
            self.dock.setParent(None)
            self.dock.deleteLater()
            self.dock = None
        if self.registry is not None:
            self.registry.stop_all()
        if self.setup is not None:
            self.setup.shut_down()
        if self._options_factory is not None:
            self.iface.unregisterOptionsWidgetFactory(self._options_factory)
            self._options_factory = None
        if self.action is not None:
            self.iface.rasterMenu().removeAction(self.action)
            self.iface.removeToolBarIcon(self.action)
            self.action.deleteLater()
            self.action = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None

    def show_dock(self) -> SameSceneDock:
        """The dock, made on first use, shown and in front."""
        if self.dock is None:
            from .gui.dock import SameSceneDock

            self.dock = SameSceneDock(self.iface, self.registry, self.setup)
            self.iface.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, self.dock)
            self.dock.visibilityChanged.connect(self._dock_visibility)
        self.dock.show()
        self.dock.raise_()
        return self.dock

    def _show_again(self) -> None:
        if not self._unloaded and self.action is not None:
            self.action.setChecked(True)

    def _toggled(self, on: bool) -> None:
        if on:
            self.show_dock()
        elif self.dock is not None:
            self.dock.hide()

    def _dock_visibility(self, visible: bool) -> None:
        # A dock behind another tab is not visible, but it is not closed either.
        if self.action is not None and self.dock is not None:
            self.action.blockSignals(True)
            self.action.setChecked(visible or not self.dock.isHidden())
            self.action.blockSignals(False)
