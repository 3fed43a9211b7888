"""Inside QGIS: no engine; what the dock says, the options page, and how an engine of one's own ends it."""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import play
from qgis.core import QgsApplication, QgsProcessingContext
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox


def steps(w):
    dock = w.dock()
    yield 0.5
    w.result["banner"] = dock.banner.text.text() if dock.banner.isVisible() else ""
    w.result["run_enabled"] = dock.flood.run_button.isEnabled()
    algorithm = QgsApplication.processingRegistry().createAlgorithmById("samescene:flood")
    w.result["check"] = algorithm.checkParameterValues(
        {"POST": w.arguments["scene"], "OUTPUT": w.arguments["out"]}, QgsProcessingContext()
    )
    w.picture("no-engine")

    def page():
        dialog = QApplication.activeModalWidget()
        return dialog, next(p for p in dialog.findChildren(object) if type(p).__name__ == "SameSceneOptionsPage")

    def opened():
        dialog, options = page()
        dialog.resize(1000, 780)
        w.result["state_without"] = options.state.text()
        w.result["shown"] = options.isVisible()
        w.picture("options-no-engine")
        options.own.setChecked(True)
        options.python.setFilePath(w.arguments["python"])
        options.test.click()
        poll(dialog, options, 300)

    def poll(dialog, options, left):
        if options.test.isEnabled() or left == 0:
            w.result["state_with"] = options.state.text()
            w.picture("options")
            dialog.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok).click()
        else:
            QTimer.singleShot(100, lambda: poll(dialog, options, left - 1))

    QTimer.singleShot(1500, opened)
    dock.banner.button.click()  # returns when the dialog is closed
    yield 0.3
    w.result["banner_after"] = dock.banner.isVisible()
    w.result["run_enabled_after"] = dock.flood.run_button.isEnabled()
    beats = w.heartbeat()  # not of the plugin: that the measure of the other scripts sees what blocks a window
    yield 0.2
    until = time.thread_time() + 0.2
    while time.thread_time() < until:
        pass
    yield 0.2
    w.result["computed_ms"] = beats.worst_ms
    beats.reset()
    time.sleep(0.4)
    yield 0.2
    w.result["slept_ms"] = beats.stop()


play(steps)
