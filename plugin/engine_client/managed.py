"""Managed environments on the disk: which are there, whether complete, and their removal.

An environment is complete when its marker ``samescene.json`` is there, which is written last of all; a folder
without it is half built and counts as nothing.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .failure import EngineFailure
from .settings import EngineSettings, environment_python

MARKER = "samescene.json"


@dataclass(frozen=True)
class ManagedEnvironment:
    """``path`` of the environment; ``complete``: usable; ``current``: made from this release's requirements."""

    path: Path
    complete: bool
    current: bool

    @property
    def python(self) -> Path:
        """Its Python."""
        return environment_python(self.path)


def read_marker(folder: Path) -> dict[str, Any] | None:
    """What was noted when the environment was completed; None when it is half built or not there."""
    try:
        note = json.loads((folder / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return note if isinstance(note, dict) else None


def write_marker(folder: Path, note: dict[str, Any]) -> None:
    """Declare the environment complete."""
    aside = folder / (MARKER + ".new")
    aside.write_text(json.dumps(note, indent=1), encoding="utf-8")
    os.replace(aside, folder / MARKER)  # noqa: PTH105 - as everywhere in the project


def managed_environments(settings: EngineSettings) -> list[ManagedEnvironment]:
    """All environments below the settings' folder, the current one first."""
    current = settings.managed_environment
    folder = settings.environments_folder
    found = [current] if current.is_dir() else []
    if folder.is_dir():
        found += sorted(p for p in folder.glob("engine-*") if p.is_dir() and p != current)
    return [ManagedEnvironment(path, read_marker(path) is not None, path == current) for path in found]


def remove_environment(folder: Path) -> None:
    """Delete an environment, its marker first, so that one that is partly deleted is never taken for whole.

    Raises EngineFailure (``setup``) when something cannot be deleted, for example while an engine runs (Windows).
    """
    if not folder.exists():
        return
    if not (folder / "pyvenv.cfg").is_file() and not folder.name.startswith("engine-"):
        raise EngineFailure("setup", f"{folder} is not an engine environment.", "Choose another folder.")
    try:
        (folder / MARKER).unlink(missing_ok=True)
        shutil.rmtree(folder)
    except OSError as error:
        raise EngineFailure(
            "setup",
            f"{error.filename or folder} cannot be deleted: {error.strerror or error}.",
            "Wait for running jobs or close other QGIS windows, then try again.",
        ) from error
