"""The state of the installation: what is there, what is wrong, and how to mend it."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from engine.environment import dropped_variables
from engine.errors import EngineError
from engine.events import Reporter
from engine.version import PROTOCOL, VERSION

Status = Literal["ok", "note", "problem"]

BASE = {
    "torch": "2.4",
    "numpy": "1.26",
    "scipy": "1.13",
    "affine": "3.0",
    "rasterio": "1.4",
    "faiss-cpu": "1.8",
    "safetensors": "0.4.3",
    "pydantic": "2.7",
    "click": "8.1.7",
    "pyogrio": "0.9",
    "shapely": "2.0.4",
    "pyproj": "3.6",
    "matplotlib": "3.8",
    "jinja2": "3.1.4",
    "pillow": "11.0",
    "urllib3": "2.0",
    "certifi": "2024.2.2",
}
"""Distribution → lowest version; a test compares it with pyproject.toml (absent when QGIS runs the bundled source)."""

EXTRAS = {
    "terrain": {"pyflwdir": "0.5.10"},
    "dask": {"dask": "2024.8", "distributed": "2024.8"},
    "export": {"onnx": "1.16", "onnxruntime": "1.18"},
    "tensorboard": {"tensorboard": "2.17"},
    "cities": {"embreex": "4.4"},
}
"""Extra → distribution → lowest version."""

MODULES = {"faiss-cpu": "faiss", "pillow": "PIL"}
"""The module of a distribution where it has another name."""

HARMFUL = ("PYTHONHOME", "PYTHONPATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES")
"""Variables that can lead this Python to foreign modules or libraries, and that a running process cannot undo."""

MIB = 1024 * 1024
LOW_SPACE, NO_SPACE = 4096 * MIB, 256 * MIB


class DoctorRequest(BaseModel):
    """Parameters of ``engine doctor``. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: str | None = Field(
        None, description="Folder where results are to be written: its free space and write permission are looked at."
    )


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding. ``status``: ok; note (works, but know it); problem (broken). ``remedy`` is empty when ok."""

    area: str
    name: str
    status: Status = "ok"
    found: str
    remedy: str = ""


def run(request: DoctorRequest, reporter: Reporter) -> dict[str, Any]:
    """All checks. Never fails itself: what cannot be looked at is a problem with its reason.

    Gives ``{"engine_version", "protocol", "ok", "device", "checks": [{area, name, status, found, remedy}]}``.
    """
    parts: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
        ("Python", python_checks),
        ("Environment", environment_checks),
        ("Packages", package_checks),
        ("Optional packages", extra_checks),
        ("Coordinates and formats", geo_checks),
        ("Device", device_checks),
        ("Models", model_checks),
        ("Disk", lambda: disk_checks(request.folder)),
    )
    checks: list[Check] = []
    for number, (area, part) in enumerate(parts):
        reporter.progress(number / len(parts), "check", f"Looking at {area.lower()}")
        try:
            for check in part():
                checks.append(check)
                reporter.check()
        except EngineError:
            raise
        except Exception as error:  # a broken library may raise anything
            checks.append(
                Check(
                    area=area, name=area, status="problem", found=_one_line(error), remedy="Install the engine again."
                )
            )
    reporter.progress(1.0, "done")
    from engine.device import describe_device

    return {
        "engine_version": VERSION,
        "protocol": PROTOCOL,
        "ok": all(check.status != "problem" for check in checks),
        "device": describe_device(),
        "checks": [asdict(check) for check in checks],
    }


def python_checks() -> Iterator[Check]:
    """The interpreter."""
    old = sys.version_info < (3, 10)
    yield Check(
        area="Python",
        name="version",
        status="problem" if old else "ok",
        found=f"{platform.python_version()} ({sys.executable or 'embedded'})",
        remedy="Install Python 3.10 or later for the engine." if old else "",
    )
    yield Check(area="Python", name="system", found=f"{platform.platform()}, {platform.machine()}")
    yield Check(area="Python", name="engine", found=f"{VERSION} ({Path(__file__).parent})")


def environment_checks() -> Iterator[Check]:
    """Variables that lead libraries astray."""
    clean = True
    for name, value in sorted(dropped_variables().items()):
        clean = False
        yield Check(
            area="Environment",
            name=name,
            status="note",
            found=f"{value} (belongs to another installation; the engine ignores it)",
            remedy=f"Nothing to do for the engine; unset {name} if other programs misbehave.",
        )
    for name in HARMFUL:
        if harmful := os.environ.get(name):
            clean = False
            yield Check(
                area="Environment",
                name=name,
                status="note",
                found=harmful,
                remedy=f"Unset {name} if packages or libraries below look wrong: it reaches into this Python.",
            )
    if clean:
        yield Check(area="Environment", name="variables", found="nothing that disturbs")


def package_checks() -> Iterator[Check]:
    """Base packages: installed, new enough, importable."""
    for name, lowest in BASE.items():
        version = _version(name)
        module = MODULES.get(name, name)
        if version is None and not _importable(module):
            yield Check(
                area="Packages",
                name=name,
                status="problem",
                found="not installed",
                remedy=f"pip install '{name}>={lowest}' in this Python, or install the engine again.",
            )
            continue
        if sys.platform == "darwin" and name == "faiss-cpu":  # beside torch it ends the process there
            yield _version_check("Packages", name, version, lowest, needed=True)
            continue
        try:
            import_module(module)
        except Exception as error:  # a broken wheel may raise anything
            yield Check(
                area="Packages",
                name=name,
                status="problem",
                found=f"{version} cannot be imported: {_one_line(error)}",
                remedy=f"pip install --force-reinstall {name} in this Python.",
            )
            continue
        yield _version_check("Packages", name, version, lowest, needed=True)


def extra_checks() -> Iterator[Check]:
    """Optional packages; an absent one is no problem."""
    for extra, wanted in EXTRAS.items():
        for name, lowest in wanted.items():
            version = _version(name)
            if version is None:
                yield Check(
                    area="Optional packages",
                    name=name,
                    status="note",
                    found="not installed",
                    remedy=f"Only if you need the extra '{extra}': pip install 'samescene[{extra}]'.",
                )
            else:
                yield _version_check("Optional packages", name, version, lowest, needed=False)


def geo_checks() -> Iterator[Check]:
    """GDAL and PROJ: their data are found, are of their version, and all libraries agree on a known point."""
    import pyogrio
    import pyproj
    import rasterio

    area = "Coordinates and formats"
    yield Check(
        area=area,
        name="versions",
        found=f"rasterio's GDAL {rasterio.__gdal_version__}, pyogrio's GDAL {pyogrio.__gdal_version_string__}, "
        f"pyproj's PROJ {pyproj.proj_version_str}",
    )
    remedy = "Install rasterio, pyproj and pyogrio again, all with pip or all with conda; unset PROJ_LIB and GDAL_DATA."
    for name, transform in (("rasterio", _by_rasterio), ("pyproj", _by_pyproj)):
        try:
            x, y = transform()
        except Exception as error:
            yield Check(area=area, name=f"PROJ of {name}", status="problem", found=_one_line(error), remedy=remedy)
            continue
        wrong = max(abs(x - KNOWN_UTM[0]), abs(y - KNOWN_UTM[1]))
        right = wrong < 0.001
        yield Check(
            area=area,
            name=f"PROJ of {name}",
            status="ok" if right else "problem",
            found="its data are found and right" if right else f"a known point lands {wrong:.3f} m from where it lies",
            remedy="" if right else remedy,
        )
    with rasterio.Env() as env:
        drivers = env.drivers()
    missing = [name for name in ("GTiff", "COG", "VRT") if name not in drivers]
    missing += [name for name in ("GPKG", "GeoJSON") if "w" not in pyogrio.list_drivers().get(name, "")]
    yield Check(
        area=area,
        name="formats",
        status="problem" if missing else "ok",
        found=f"missing: {', '.join(missing)}" if missing else f"GeoTIFF, COG, GeoPackage ({len(drivers)} in all)",
        remedy="Install rasterio and pyogrio from their wheels or from conda-forge." if missing else "",
    )


KNOWN_DEGREES = (12.0, 41.0)
KNOWN_UTM = (247_679.1521, 4_543_092.9544)
"""12° E, 41° N in EPSG:32633 by the transverse Mercator series, computed apart from PROJ (see the tests)."""


def _by_rasterio() -> tuple[float, float]:
    from rasterio.warp import transform

    xs, ys = transform("EPSG:4326", "EPSG:32633", [KNOWN_DEGREES[0]], [KNOWN_DEGREES[1]])[:2]
    return xs[0], ys[0]


def _by_pyproj() -> tuple[float, float]:
    from pyproj import Transformer

    x, y = Transformer.from_crs("EPSG:4326", "EPSG:32633", always_xy=True).transform(*KNOWN_DEGREES)
    return x, y


def device_checks() -> Iterator[Check]:
    """What computes."""
    from engine.device import choose_device, has_bfloat16, torch_build, usable_cpus

    build = torch_build()
    yield Check(
        area="Device",
        name="torch",
        found=f"{build.version}, built for {'CUDA ' + build.cuda if build.cuda else 'the processor only'}",
    )
    device = choose_device("auto")
    yield Check(area="Device", name="auto", found=str(device))
    idle = build.cuda is not None and device.kind == "cpu"
    if idle:
        yield Check(
            area="Device",
            name="cuda",
            status="note",
            found="torch is built for CUDA but finds no device",
            remedy="Install the driver of the graphics card; without one all is done on the processor.",
        )
    yield Check(
        area="Device",
        name="bfloat16",
        found="in hardware" if has_bfloat16(device) else "not in hardware; models run in float32",
    )
    yield Check(area="Device", name="processors", found=str(usable_cpus()))


def model_checks() -> Iterator[Check]:
    """Model bundles that can be named."""
    from engine.models.bundle import list_models, load_bundle

    models = list_models()
    if not models:
        yield Check(area="Models", name="models", found="none; flood maps use thresholds, which need none")
    for model in models:
        try:
            load_bundle(model.folder).verify()
        except EngineError as error:
            yield Check(
                area="Models",
                name=model.name,
                status="problem",
                found=error.message,
                remedy=error.remedy or "Remove it.",
            )
            continue
        yield Check(area="Models", name=model.name, found=str(model.folder))


def disk_checks(folder: str | None) -> Iterator[Check]:
    """Free space and write permission of the temporary folder and of ``folder``."""
    places = [("temporary folder", Path(tempfile.gettempdir()))]
    if folder is not None:
        places.append(("result folder", Path(folder).expanduser()))
    for name, path in places:
        home = next((p for p in (path, *path.absolute().parents) if p.exists()), path)
        yield _space(name, home)
        yield _writable(name, home)


def _space(name: str, path: Path) -> Check:
    free = shutil.disk_usage(path).free
    status: Status = "problem" if free < NO_SPACE else "note" if free < LOW_SPACE else "ok"
    remedy = "" if status == "ok" else "Free some space: a whole Sentinel-1 scene needs about 4 GB while it is mapped."
    return Check(
        area="Disk", name=f"{name}: space", status=status, found=f"{free / 1e9:.1f} GB free in {path}", remedy=remedy
    )


def _writable(name: str, path: Path) -> Check:
    try:
        with tempfile.NamedTemporaryFile(dir=path, prefix=".samescene-") as probe:
            probe.write(b"x")
            probe.flush()
    except OSError as error:
        return Check(
            area="Disk",
            name=f"{name}: writing",
            status="problem",
            found=f"{path}: {error.strerror or error}",
            remedy="Choose a folder that you can write to"
            + (", or set TMPDIR (TEMP on Windows) to one." if name == "temporary folder" else "."),
        )
    return Check(area="Disk", name=f"{name}: writing", found="allowed")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # conda names some packages otherwise
        other = {"faiss-cpu": "faiss"}.get(name)
        return _version(other) if other else None


def _importable(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def _version_check(area: str, name: str, version: str | None, lowest: str, *, needed: bool) -> Check:
    if version is not None and _release(version) < _release(lowest):
        return Check(
            area=area,
            name=name,
            status="problem" if needed else "note",
            found=f"{version}, older than {lowest}",
            remedy=f"pip install '{name}>={lowest}' in this Python.",
        )
    return Check(area=area, name=name, found=version or "installed, version unknown")


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version: ``2.13.0+cpu`` → (2, 13, 0)."""
    numbers = []
    for part in version.split("+")[0].split("."):
        digits = "".join(c for c in part if c.isdigit())
        if not part[:1].isdigit():
            break
        numbers.append(int(digits))
        if not part.isdigit():
            break
    return tuple(numbers)


def _one_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
