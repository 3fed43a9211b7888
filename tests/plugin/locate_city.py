"""What tests of locating in a simulated city use: the truth, the engine, maps drawn."""

from __future__ import annotations

import csv
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
from qgis.core import QgsMapRendererSequentialJob, QgsMapSettings
from qgis.PyQt.QtCore import QSize

from plugin.engine_client.settings import environment_python

ROOT = Path(__file__).resolve().parents[2]
PYTHON = environment_python(ROOT / ".venv-engine")


def search(city: Path, out: Path, **changes) -> dict:
    photos = [str(city / "panoramas" / f"00000{k}.jpg") for k in (1, 2)]
    return {"INDEX": str(city / "index"), "PHOTOS": photos, "VERIFY": 8, "TOP": 8, "OUTPUT": str(out), **changes}


def truth(city: Path) -> dict[str, dict[str, str]]:
    with (city / "panoramas.csv").open(newline="") as file:
        return {Path(row["panorama"]).stem: row for row in csv.DictReader(file)}


def metres(lon, lat, row) -> float:
    east = (lon - float(row["lon"])) * 111_195 * np.cos(np.radians(lat))
    return float(np.hypot(east, (lat - float(row["lat"])) * 111_195))


def engine(*words: str) -> None:
    subprocess.run([str(PYTHON), "-m", "engine.cli.main", *words], check=True, cwd=ROOT, capture_output=True)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.bin"))}


def left(folder: Path, name: str) -> list[str]:
    return [path.name for path in folder.iterdir() if name in path.name]


def cancelled_when(registry, test):
    """A slot that cancels the newest run once ``test(record)`` holds, and when that was."""
    state = {}

    def look(run_id):
        record = registry.run(run_id)
        if record is not None and "at" not in state and test(record):
            state["at"] = time.monotonic()
            threading.Timer(0.3, registry.cancel, [run_id]).start()

    return look, state


def picture(layers, extent, crs, side=300) -> np.ndarray:
    """(rows, columns, 4) of a map."""
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(crs)
    box = extent.buffered(10)
    settings.setExtent(box)
    settings.setOutputSize(QSize(side, side))
    job = QgsMapRendererSequentialJob(settings)
    job.start()
    job.waitForFinished()
    image = job.renderedImage()
    pointer = image.constBits()
    pointer.setsize(image.sizeInBytes())
    return np.frombuffer(bytes(pointer), np.uint8).reshape(image.height(), image.width(), 4)
