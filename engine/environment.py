"""The process environment: variables that lead GDAL and PROJ to foreign data are dropped before either is loaded, and
threads that wait for others are let sleep.

The wheels of rasterio, pyproj and pyogrio carry their own data. A ``PROJ_LIB`` of another installation (QGIS, OSGeo4W,
PostGIS, a second conda environment) makes them read a database of another version: transformations fail or, worse,
differ. Values inside this Python environment are kept: a conda environment sets them for its own libraries.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

FOREIGN_PATHS = (
    "PROJ_LIB",
    "PROJ_DATA",
    "PROJ_AUX_DB",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "GDAL_PYTHON_DRIVER_PATH",
    "GDAL_PAM_PROXY_DIR",
    "GDAL_CONFIG_FILE",
    "OGR_DRIVER_PATH",
    "GEOTIFF_CSV",
)
"""Variables that name folders or files of GDAL, PROJ or libgeotiff."""

FOREIGN_SWITCHES = ("CPL_DEBUG", "CPL_LOG", "PROJ_DEBUG", "GDAL_SKIP", "OGR_SKIP", "GDAL_PAM_ENABLED")
"""Variables that change what these libraries print, or which formats they have."""

WAITING = {
    "OMP_WAIT_POLICY": ("PASSIVE", ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")),
    "OPENBLAS_THREAD_TIMEOUT": ("4", ("OPENBLAS_THREAD_TIMEOUT",)),
}
"""Variables that say how threads wait (OpenMP's of torch and faiss; OpenBLAS's of numpy, 2⁴ turns), what they are set
to, and those by which a user may have said it."""

DROPPED = "SAMESCENE_DROPPED_VARIABLES"
"""Where :func:`drop_foreign_variables` leaves, as JSON, what it removed: 'engine doctor' tells it."""


def _own(value: str, prefix: Path) -> bool:
    try:
        return Path(value).resolve().is_relative_to(prefix.resolve())
    except (OSError, ValueError):
        return False


def drop_foreign_variables(environ: MutableMapping[str, str] | None = None) -> dict[str, str]:
    """Remove the variables above from ``environ`` (default: this process's) and give those that were removed.

    Call it before rasterio, pyproj or pyogrio is imported; afterwards the libraries have read them.
    """
    environ = os.environ if environ is None else environ
    prefix = Path(sys.prefix)
    found = {name: environ[name] for name in (*FOREIGN_PATHS, *FOREIGN_SWITCHES) if name in environ}
    dropped = {name: value for name, value in found.items() if name in FOREIGN_SWITCHES or not _own(value, prefix)}
    for name in dropped:
        del environ[name]
    if dropped:
        environ[DROPPED] = json.dumps({**dropped_variables(environ), **dropped})
    return dropped


def let_waiting_threads_sleep(environ: MutableMapping[str, str] | None = None) -> None:
    """Let the threads of torch, faiss and numpy sleep while they wait for each other, unless the user said how.

    By default they spin for milliseconds at the end of every operation. On a machine with other work the one that they
    wait for is not running: a search, thousands of small operations, took four times the processor's time and minutes
    by the clock. Call it before these libraries are imported: they read it once.
    """
    environ = os.environ if environ is None else environ
    for name, (value, said_by) in WAITING.items():
        if not any(said in environ for said in said_by):
            environ[name] = value


def dropped_variables(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """What :func:`drop_foreign_variables` has removed from this process."""
    try:
        found = json.loads((os.environ if environ is None else environ).get(DROPPED, "{}"))
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
