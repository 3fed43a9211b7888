"""Inside QGIS: install the plugin from the repository that the test serves, map a flood by clicks, uninstall it."""

import contextlib
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

import pyplugin_installer
import qgis.utils
from inside import play
from pyplugin_installer import installer_data
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsSettings
from qgis.PyQt.QtCore import QDir, Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QAction, QDockWidget, QToolButton
from qgis.utils import iface

NAME = "samescene"


def plugins_folder() -> Path:
    """Where QGIS installs plugins; the name changed between 3.22 and 3.40."""
    home = getattr(qgis.utils, "HOME_PLUGIN_PATH", None) or qgis.utils.home_plugin_path
    return Path(home)


def click(widget) -> None:
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton)


def toolbar_buttons() -> list:
    bar = iface.pluginToolBar()
    actions = [action for action in bar.actions() if action.objectName() == "samesceneShowDock"]
    return [bar.widgetForAction(action) for action in actions]


def traces() -> dict:
    """Everything of the plugin that this window still has; all empty once it is uninstalled."""
    window = iface.mainWindow()
    menu = iface.rasterMenu()
    return {
        "toolbar": len(toolbar_buttons()),
        "actions": [a.objectName() for a in window.findChildren(QAction) if a.objectName().startswith(NAME)],
        "menu": [a.text() for a in menu.actions() if "samescene" in a.text().replace("&", "").lower()],
        "docks": [d.objectName() for d in window.findChildren(QDockWidget) if "samescene" in d.objectName().lower()],
        "provider": QgsApplication.processingRegistry().providerById(NAME) is not None,
        "algorithms": [a.id() for a in QgsApplication.processingRegistry().algorithms() if a.id().startswith(NAME)],
        "folder": (plugins_folder() / NAME).exists(),
        "loaded": NAME in qgis.utils.plugins,
        "modules": sorted(m for m in sys.modules if m.split(".")[0] == NAME),
    }


def live_workers() -> list:
    """The scripts of the worker processes that run now and belong to this profile (Linux)."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found += [word for word in line.read_bytes().decode(errors="replace").split("\0") if "worker_main" in word]
    return [path for path in found if path.startswith(str(plugins_folder()))]


def use_only_our_repository(address: str) -> None:
    settings = QgsSettings()
    settings.beginGroup(installer_data.reposGroup)
    title, official = installer_data.officialRepo
    settings.setValue(f"{title}/url", official)
    settings.setValue(f"{title}/enabled", False)
    settings.setValue("SameScene test/url", address)
    settings.setValue("SameScene test/enabled", True)
    settings.setValue("SameScene test/valid", True)
    settings.endGroup()
    # "Show also experimental plugins" of the plugin manager; each version keeps it elsewhere.
    if hasattr(installer_data, "settingsGroup"):
        settings.setValue(f"{installer_data.settingsGroup}/allowExperimental", True)
    else:
        tree = installer_data.QgsSettingsTree.node("plugin-manager")
        tree.childSetting("allow-experimental").setValue(True)


def steps(w):
    arguments = w.arguments
    w.result["before"] = traces()
    use_only_our_repository(arguments["repository"])
    installer = pyplugin_installer.instance()
    installer.fetchAvailablePlugins(True)
    offered = installer_data.plugins.all().get(NAME)
    if offered is None:
        raise LookupError(f"not offered; repositories: {installer_data.repositories.all()}")
    w.result["downloads"] = QDir.tempPath()
    w.result["offered"] = {key: offered[key] for key in ("name", "error", "zip_repository")}
    installer.installPlugin(NAME, quiet=True, stable=False)
    yield 0.5

    w.result["installed"] = traces()
    w.result["installed_from"] = str(Path(sys.modules[NAME].__file__).parent)
    w.result["enabled"] = QgsSettings().value(f"PythonPlugins/{NAME}", False, type=bool)
    (button,) = toolbar_buttons()
    w.result["button"] = isinstance(button, QToolButton) and button.isVisible()
    click(button)
    yield w.until(lambda: w.plugin.dock is not None and w.plugin.dock.isVisible(), 10, "the dock opened")
    dock = w.plugin.dock
    yield 0.5
    w.result["without_engine"] = {
        "banner": dock.banner.isVisible(),
        "text": dock.banner.text.text(),
        "run": dock.flood.run_button.isEnabled(),
    }
    w.picture("installed-without-engine")

    QgsSettings().setValue(f"{NAME}/engine_python", arguments["engine_python"])
    yield w.until(lambda: dock.flood.run_button.isEnabled(), 10, "the chosen engine was noticed")
    w.result["banner_with_engine"] = dock.banner.isVisible()

    layers = {key: QgsRasterLayer(path, Path(path).stem) for key, path in arguments["scenes"].items()}
    QgsProject.instance().addMapLayers(list(layers.values()))
    iface.mapCanvas().setExtent(layers["after"].extent())
    yield 1.0
    dock.flood.form.scene.set_layer(layers["after"])
    dock.flood.form.before.set_layer(layers["before"])
    dock.flood.form.out.setFilePath(arguments["out"])
    w.picture("ready-to-run")
    click(dock.flood.run_button)
    registry = w.plugin.registry
    yield w.until(lambda: registry.runs(), 10, "the run was listed")
    workers = set()
    yield w.until(lambda: workers.update(live_workers()) or not registry.active(), 150, "the run ended")
    w.result["workers"] = sorted(workers)
    run = registry.runs()[0]
    w.result["run"] = {"state": run.state, "error": run.error, "out": run.out, "log": list(run.log)[-20:]}
    tree = QgsProject.instance().layerTreeRoot()
    yield w.until(lambda: run.state != "done" or len(tree.findLayers()) > 2, 20, "the results were added")
    yield 2.0
    w.result["layers"] = [node.name() for node in tree.findLayers()]
    w.result["groups"] = [group.name() for group in tree.findGroups()]
    w.picture("flood-mapped")

    installer.uninstallPlugin(NAME, quiet=True)
    yield 1.0
    w.result["after"] = traces()
    w.result["still_enabled"] = QgsSettings().value(f"PythonPlugins/{NAME}", False, type=bool)
    w.result["bars"] = [item.text() for item in iface.messageBar().items()]
    w.picture("uninstalled")


play(steps)
