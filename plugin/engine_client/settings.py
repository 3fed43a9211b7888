"""What the user set about the engine, and where things lie. Read and written through QgsSettings, group samescene/."""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path

from qgis.core import QgsSettings
from qgis.PyQt.QtCore import QStandardPaths

GROUP = "samescene"
VARIABLE = "SAMESCENE_ENGINE_PYTHON"


def plugin_root() -> Path:
    """The folder with metadata.txt, engine/ and requirements/: a checkout, or the installed plugin."""
    return Path(__file__).resolve().parents[2]


def environment_python(folder: Path) -> Path:
    """The Python of a virtual environment in ``folder``."""
    return folder / "Scripts" / "python.exe" if sys.platform == "win32" else folder / "bin" / "python"


def user_models_folder() -> Path:
    """Where the user's own models lie, by the engine's rule: ``samescene/models`` in the folder of their data."""
    home = Path(os.environ.get("HOME") or os.environ.get("USERPROFILE") or Path.home())
    if sys.platform == "win32":
        data = Path(os.environ.get("APPDATA") or home / "AppData" / "Roaming")
    elif sys.platform == "darwin":
        data = home / "Library" / "Application Support"
    else:
        given = Path(os.environ.get("XDG_DATA_HOME") or "")
        data = given if given.is_absolute() else home / ".local" / "share"
    return data / "samescene" / "models"


class EngineSettings:
    """The engine's settings, each a property that reads and writes QgsSettings at once."""

    def __init__(self, store: QgsSettings | None = None, *, root: Path | None = None) -> None:
        self._store = QgsSettings() if store is None else store
        self.root = plugin_root() if root is None else root

    @property
    def engine_python(self) -> str:
        """A Python that has the engine's packages, chosen by the user; empty: none."""
        return self._text("engine_python")

    @engine_python.setter
    def engine_python(self, path: str) -> None:
        self._store.setValue(f"{GROUP}/engine_python", path.strip())

    @property
    def wheels_folder(self) -> str:
        """A folder of wheels from which the engine is set up without a network; empty: from the network."""
        return self._text("wheels_folder")

    @wheels_folder.setter
    def wheels_folder(self, path: str) -> None:
        self._store.setValue(f"{GROUP}/wheels_folder", path.strip())

    @property
    def base_python(self) -> str:
        """The Python from which the managed environment is made; empty: found by itself."""
        return self._text("base_python")

    @base_python.setter
    def base_python(self, path: str) -> None:
        self._store.setValue(f"{GROUP}/base_python", path.strip())

    @property
    def environments_folder(self) -> Path:
        """Where managed environments are made; outside the plugin, whose folder an update deletes.

        Short, because packages have paths of 200 characters and Windows allows 260.
        """
        chosen = self._text("environments_folder")
        if chosen:
            return Path(chosen)
        data = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation)
        return Path(data) / "SameScene"

    @environments_folder.setter
    def environments_folder(self, path: str | Path) -> None:
        self._store.setValue(f"{GROUP}/environments_folder", str(path).strip())

    @property
    def lock_file(self) -> Path:
        """The locked requirements with hashes that a managed environment is made from."""
        return self.root / "requirements" / "engine.txt"

    @property
    def managed_environment(self) -> Path:
        """The environment that belongs to this release's lock; it may not exist yet."""
        return self.environments_folder / f"engine-{lock_key(self.lock_file)}"

    def variable_python(self) -> str:
        """The Python that the environment variable names; empty: none."""
        return os.environ.get(VARIABLE, "").strip()

    def _text(self, key: str) -> str:
        return str(self._store.value(f"{GROUP}/{key}", "") or "").strip()


def lock_key(lock: Path) -> str:
    """Ten hexadecimal digits that change with the locked requirements (line ends do not count); ``none`` without."""
    try:
        text = lock.read_text(encoding="utf-8")
    except OSError:
        return "none"
    return sha256("\n".join(text.splitlines()).encode()).hexdigest()[:10]
