"""The environment variables that the engine process gets: the user's, without what belongs to QGIS's Python."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from qgis.PyQt.QtCore import QProcessEnvironment

# Each has been seen to break a foreign Python under QGIS: PYTHON* and __PYVENV_LAUNCHER__ hide the venv, PROJ_* and
# GDAL_* make its PROJ and GDAL read the data files of another version, LD_* and DYLD_* load QGIS's libraries into it.
DROPPED_NAMES = frozenset(
    {
        "__PYVENV_LAUNCHER__",
        "VIRTUAL_ENV",
        "PROJ_LIB",
        "PROJ_DATA",
        "PROJ_NETWORK",
        "GISBASE",
        "LD_LIBRARY_PATH",
        "LD_PRELOAD",
        "QGIS_PREFIX_PATH",
    }
)
DROPPED_PREFIXES = ("PYTHON", "CONDA_", "_CONDA_", "GDAL_", "OGR_", "CPL_", "QT_", "QML", "OSGEO4W", "GRASS_", "DYLD_")


def is_dropped(name: str) -> bool:
    """Whether a variable of that name must not reach the engine; case does not count (Windows)."""
    upper = name.upper()
    return upper in DROPPED_NAMES or upper.startswith(DROPPED_PREFIXES)


def scrubbed_path(path: str, roots: Sequence[str], *, separator: str = os.pathsep) -> str:
    """``path`` (a PATH value) without the entries inside any of ``roots``."""
    inside = [_normal(root) for root in roots if root]
    kept = [
        entry
        for entry in path.split(separator)
        if entry and not any(_normal(entry) == root or _normal(entry).startswith(root + "/") for root in inside)
    ]
    return separator.join(kept)


def _normal(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").casefold()


def engine_environment(
    extra: Mapping[str, str] | None = None, *, base: QProcessEnvironment | None = None, windows: bool | None = None
) -> QProcessEnvironment:
    """The environment for the engine (or pip): ``base`` (default: this process's) scrubbed, with ``extra`` added.

    On Windows QGIS's own folders leave PATH too, or their DLLs would be found before the engine's.
    """
    base = QProcessEnvironment.systemEnvironment() if base is None else base
    windows = sys.platform == "win32" if windows is None else windows
    result = QProcessEnvironment()
    for name in base.keys():  # noqa: SIM118 - QProcessEnvironment is no dict
        if not is_dropped(name):
            result.insert(name, base.value(name))
    if windows and base.contains("PATH"):
        roots = [base.value("OSGEO4W_ROOT"), base.value("QGIS_PREFIX_PATH"), sys.prefix]
        result.insert("PATH", scrubbed_path(base.value("PATH"), roots, separator=";"))
    for name, value in (extra or {}).items():
        result.insert(name, value)
    return result
