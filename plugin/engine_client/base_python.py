"""The Python from which the engine's environment is made: where it may lie, and whether it will do."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from .environment import engine_environment
from .failure import EngineFailure
from .programs import run_program

OLDEST, NEWEST = (3, 10), (3, 14)
"""The Python versions for which the lock has wheels."""

_PROBE = """
import json, platform, struct, sys
found = {"version": list(sys.version_info[:3]), "bits": struct.calcsize("P") * 8, "missing": []}
for name in ("venv", "ensurepip", "ssl", "ctypes", "sqlite3"):
    try:
        __import__(name)
    except Exception:
        found["missing"].append(name)
print("samescene " + json.dumps(found))
"""


@dataclass(frozen=True)
class BasePython:
    """A Python that can make the environment; ``extra_path``: folders that its libraries (ssl on Windows) need."""

    path: Path
    version: tuple[int, int, int]
    extra_path: str = ""

    @property
    def described(self) -> str:
        """Version and path."""
        return f"Python {'.'.join(map(str, self.version))} ({self.path})"


def candidates(
    *, chosen: str = "", platform: str = sys.platform, prefix: str = sys.base_prefix, home: Path | None = None
) -> list[Path]:
    """Where a Python may lie on ``platform``, the most promising first; never ``sys.executable`` (that may be QGIS).

    ``chosen`` by the user is the only one when it is given. ``prefix``: where the Python inside QGIS is installed.
    """
    if chosen:
        return [Path(chosen)]
    versions = [f"3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    own = Path(prefix)
    if platform == "win32":
        home = Path.home() if home is None else home
        local = home / "AppData" / "Local" / "Programs" / "Python"
        program_files = Path(os.environ.get("PROGRAMFILES", "C:\\Program Files"))
        digits = [v.replace(".", "") for v in versions]
        found = [own / "python.exe", own / "python3.exe"]
        osgeo = os.environ.get("OSGEO4W_ROOT")
        if osgeo:
            found += [Path(osgeo) / "apps" / f"Python{d}" / "python.exe" for d in digits]
        found += [local / f"Python{d}" / "python.exe" for d in digits]
        found += [program_files / f"Python{d}" / "python.exe" for d in digits]
        return _once(found)
    if platform == "darwin":
        app = next((p for p in (own, *own.parents) if p.suffix == ".app"), Path("/Applications/QGIS.app"))
        found = [app / "Contents" / "MacOS" / "bin" / "python3", own / "bin" / "python3"]
        found += [Path(f"/Library/Frameworks/Python.framework/Versions/{v}/bin/python3") for v in versions]
        found += [Path(folder) / f"python{v}" for folder in ("/opt/homebrew/bin", "/usr/local/bin") for v in versions]
        return _once(found)  # not /usr/bin/python3: without Xcode it opens a dialog
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found = [own / "bin" / f"python{here}", own / "bin" / "python3", Path("/usr/bin/python3")]
    found += [Path(folder) / f"python{v}" for folder in ("/usr/bin", "/usr/local/bin") for v in versions]
    return _once(found)


def find_base_python(
    *,
    chosen: str = "",
    on_line: Callable[[str], None] = lambda line: None,
    is_cancelled: Callable[[], bool] = lambda: False,
    among: Iterable[Path] | None = None,
) -> BasePython:
    """The first candidate that will do; why the others will not is told to ``on_line``.

    Call it in a worker thread. Raises EngineFailure (``setup``) with what to install, and EngineCancelled.
    """
    reasons: list[str] = []
    for path in candidates(chosen=chosen) if among is None else among:
        if not path.is_file():
            continue
        found = probe(path, is_cancelled=is_cancelled)
        if isinstance(found, BasePython):
            return found
        reasons.append(f"{path}: {found}")
        on_line(reasons[-1])
    wanted = f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]}"
    tried = f" Tried: {'; '.join(reasons)}." if reasons else (f" {chosen} does not exist." if chosen else "")
    if sys.platform == "win32" or sys.platform == "darwin":
        remedy = "Install Python from python.org, or choose one"
    elif any("venv" in reason or "ensurepip" in reason for reason in reasons):
        remedy = "Install the package python3-venv with your system's package manager, or choose another Python"
    else:
        remedy = "Install the package python3 with your system's package manager, or choose one"
    raise EngineFailure(
        "setup", f"No {wanted} was found to make the engine's environment from.{tried}",
        f"{remedy} under Settings ▸ Options ▸ SameScene.",
    )  # fmt: skip


def probe(path: Path, *, is_cancelled: Callable[[], bool] = lambda: False) -> BasePython | str:
    """The Python at ``path``, or why it will not do. It is run, for there is no other way to know."""
    folders = ["", _qgis_libraries()] if sys.platform == "win32" else [""]
    reason = ""
    for folder in folders:
        found = _ask(path, folder, is_cancelled)
        if isinstance(found, BasePython):
            return found
        reason = reason or found
    return reason


def probe_environment(extra_path: str):
    """The scrubbed environment with ``extra_path`` at the end of PATH."""
    environment = engine_environment()
    if extra_path:
        environment.insert("PATH", os.pathsep.join((environment.value("PATH"), extra_path)))
    return environment


def _ask(path: Path, folder: str, is_cancelled: Callable[[], bool]) -> BasePython | str:
    lines: list[str] = []
    try:
        code = run_program(
            str(path),
            ["-I", "-X", "utf8", "-c", _PROBE],
            environment=probe_environment(folder),
            on_line=lines.append,
            is_cancelled=is_cancelled,
            timeout_s=60,
        )
    except EngineFailure as failure:
        return failure.message
    answer = next((line[len("samescene ") :] for line in lines if line.startswith("samescene ")), "")
    if code != 0 or not answer:
        last = next((line for line in reversed(lines) if line.strip()), "no output")
        return f"it does not run Python (exit code {code}: {last[:200]})"
    found = json.loads(answer)
    version = tuple(found["version"])
    if not OLDEST <= version[:2] <= NEWEST:
        return f"it is Python {version[0]}.{version[1]}"
    if found["bits"] != 64:
        return "it is a 32-bit Python"
    if found["missing"]:
        return f"it lacks {', '.join(found['missing'])}"
    return BasePython(path, version, folder)


def _qgis_libraries() -> str:
    root = os.environ.get("OSGEO4W_ROOT", "")
    return str(Path(root) / "bin") if root else ""


def _once(paths: list[Path]) -> list[Path]:
    return list(dict.fromkeys(paths))
