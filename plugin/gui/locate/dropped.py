"""What was dropped on a page: files and folders from a file manager, or from QGIS's browser."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsMimeDataUtils
from qgis.PyQt.QtCore import QMimeData


def dropped_paths(data: QMimeData) -> list[str]:
    """Paths of files and folders on this machine, each once; empty where there is none."""
    paths = [url.toLocalFile() for url in data.urls() if url.isLocalFile()]
    if QgsMimeDataUtils.isUriList(data):
        paths += [uri.uri.split("|")[0] for uri in QgsMimeDataUtils.decodeUriList(data)]
    return [path for path in dict.fromkeys(paths) if path and Path(path).exists()]
