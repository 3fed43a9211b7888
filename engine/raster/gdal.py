"""GDAL's surroundings: the environment variables and options under which every file is opened here."""

from __future__ import annotations

import contextlib
import ctypes
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# Where another GDAL or PROJ keeps its data and plugins; QGIS, OSGeo4W and conda leave these to child processes.
_FOREIGN = (
    "PROJ_LIB",
    "PROJ_DATA",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "OGR_DRIVER_PATH",
    "GDAL_SKIP",
    "OGR_SKIP",
    "GDAL_PAM_PROXY_DIR",
    "GDAL_PAM_ENABLED",
)
_CACHE_BYTES = 192 * 1024 * 1024
_HTTP = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no guessing of sidecar files over the network
    "GDAL_NUM_THREADS": "1",  # threads that fetch print their failures to stderr, and the network is the limit anyway
    "GDAL_HTTP_CONNECTTIMEOUT": "10",
    "GDAL_HTTP_TIMEOUT": "60",
    "GDAL_HTTP_LOW_SPEED_TIME": "15",
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
    "GDAL_HTTP_MAX_RETRY": "3",
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": str(32 * 1024 * 1024),
}


def scrub_environment() -> None:
    """Take the data folders of other GDAL and PROJ installations out of this process's environment.

    Wheels carry their own data and are led astray by these variables. A rasterio without its own data (built
    against a system's GDAL, conda) may need them: then they stay.
    """
    spec = find_spec("rasterio")
    if spec is None or not spec.origin or not (Path(spec.origin).parent / "proj_data").is_dir():
        return
    for name in _FOREIGN:
        os.environ.pop(name, None)


def thread_count() -> int:
    """Threads that GDAL may use to decode and encode blocks: the cores, at most 4."""
    return max(1, min(4, os.cpu_count() or 1))


@contextmanager
def gdal_options(*, remote: bool = False, **more: Any) -> Iterator[None]:
    """Inside, GDAL sends its messages to logging (never to stderr), uses a bounded block cache and several threads.

    ``remote`` adds time limits and retries of http(s) addresses; ``more`` are further GDAL options.
    """
    import rasterio

    options: dict[str, Any] = {"GDAL_CACHEMAX": _CACHE_BYTES, "GDAL_NUM_THREADS": str(thread_count())}
    if remote:
        options.update(_HTTP)
    options.update(more)
    with rasterio.Env(**options):
        yield


@contextmanager
def no_georeference_is_fine() -> Iterator[None]:
    """Inside, rasterio does not warn of files without georeference. Only around opening: filters are process-wide."""
    from rasterio.errors import NotGeoreferencedWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def silence_libtiff() -> None:
    """Stop libtiff's own writing to stderr in the wheels' build; GDAL's messages do not pass there and still arrive.

    On a full disk GDAL's file layer calls libtiff's global error handler, whose default prints past every redirection
    of GDAL's messages. Where libtiff is linked in otherwise, nothing happens.
    """
    spec = find_spec("rasterio")
    if spec is None or not spec.origin:
        return
    root = Path(spec.origin).parent
    for library in (*root.parent.glob("rasterio.libs/libtiff*"), *root.glob(".dylibs/libtiff*")):
        # Without the function, or not loadable: the messages stay, no more is lost.
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(str(library)).TIFFSetErrorHandler(None)


def is_url(path: str | os.PathLike[str]) -> bool:
    """True for http:// and https:// addresses."""
    return str(path).lower().startswith(("http://", "https://"))


def shown(path: str | os.PathLike[str]) -> str:
    """The path or address as messages may show it: without user name, key or query of an address."""
    text = str(path)
    if not is_url(text):
        return text
    scheme, _, rest = text.partition("://")
    rest = rest.partition("?")[0]
    host, slash, tail = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{tail}"
