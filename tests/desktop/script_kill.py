"""Inside QGIS: a run is at work when QGIS is killed."""

import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import engine_children, play
from qgis.core import QgsProject, QgsRasterLayer


def steps(w):
    dock = w.dock()
    layer = QgsRasterLayer(w.arguments["scene"], "large")
    QgsProject.instance().addMapLayer(layer, False)
    dock.flood.form.scene.set_layer(layer)
    dock.flood.form.out.setFilePath(w.arguments["out"])
    yield 0.3
    dock.flood.start()
    registry = w.plugin.registry
    yield w.until(lambda: registry.runs() and registry.runs()[0].fraction > 0.1, 90, "progress of the run")
    w.result["engines"] = [process for process, _ in engine_children()]
    w.result["ok"] = True
    Path(w.job["answer"]).write_text(json.dumps(w.result))
    os.kill(os.getpid(), signal.SIGKILL)
    yield 10


play(steps)
