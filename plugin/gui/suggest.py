"""A sensible folder for the results of a scene."""

from __future__ import annotations

import os
from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import QStandardPaths

from ..layers.names import scene_name


def suggest_folder(source: str, suffix: str) -> str:
    """``<folder of the source>/<its name>_<suffix>``; the project's or user's folder where that cannot be written.

    A number is added while the folder exists. The empty string for an empty source.
    """
    if not source:
        return ""
    path = source.split("|")[0]
    name = scene_name({"parameters": {"post": path}}) + f"_{suffix}"
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    places = [Path(path).parent] if Path(path).exists() else []
    places += [Path(p) for p in (QgsProject.instance().homePath(), documents) if p]
    places.append(Path.home())
    place = next((p for p in places if p.is_dir() and os.access(p, os.W_OK)), Path.home())
    folder, number = place / name, 2
    while folder.exists():
        folder, number = place / f"{name}_{number}", number + 1
    return str(folder)
