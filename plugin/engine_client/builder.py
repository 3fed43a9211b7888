"""Builds the engine's managed environment: a Python, the locked packages, and the engine's own word that it works.

The folder counts as an environment only from its marker on, which is written last. Whatever happens before (cancel,
error, a crash of QGIS), the folder is removed, at once or by the next attempt.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from qgis.PyQt.QtCore import QLockFile, QProcessEnvironment, QStorageInfo

from .base_python import BasePython, find_base_python, probe_environment
from .failure import EngineCancelled, EngineFailure
from .locate import MANAGED, EngineLocation
from .managed import read_marker, remove_environment, write_marker
from .pip_progress import PipProgress, count_requirements
from .programs import run_program
from .settings import EngineSettings, environment_python, lock_key

# On Linux the index's torch brings the CUDA libraries: 2.7 GB of wheels, which unpack to more than twice that.
NEEDED_BYTES = 10_000_000_000 if sys.platform.startswith("linux") else 2_000_000_000
DROPPED_PIP = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV", "PIP_CONSTRAINT")

Doctor = Callable[[EngineLocation], dict[str, Any]]


class EnvironmentBuilder:
    """One attempt. Runs wholly in the thread that calls :meth:`build`.

    ``on_progress(fraction, message)``, ``on_line(line)`` and ``is_cancelled()`` are called there too. ``proxy``:
    variables of :func:`.proxy.proxy_variables`. ``needed_bytes``: free space that is asked for.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        proxy: dict[str, str] | None = None,
        base: BasePython | None = None,
        on_progress: Callable[[float, str], None] = lambda fraction, message: None,
        on_line: Callable[[str], None] = lambda line: None,
        is_cancelled: Callable[[], bool] = lambda: False,
        needed_bytes: int = NEEDED_BYTES,
    ) -> None:
        # Settings are read here, in the caller's thread: QgsSettings of another thread must not be used later.
        self._lock_file = settings.lock_file
        self._folder = settings.managed_environment
        self._wheels = settings.wheels_folder
        self._chosen = settings.base_python
        self._source = settings.root
        self._proxy = dict(proxy or {})
        self._base = base
        self._on_progress, self._on_line, self._is_cancelled = on_progress, on_line, is_cancelled
        self._needed_bytes = needed_bytes

    def build(self) -> EngineLocation:
        """The engine in its new environment. Raises EngineFailure or EngineCancelled; then nothing is left behind."""
        self._look()
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        guard = QLockFile(str(self._folder) + ".lock")
        guard.setStaleLockTime(0)
        if not guard.tryLock(0):
            raise EngineFailure(
                "setup",
                "Another QGIS is setting the engine up now.",
                "Wait until it is done; both can use the environment.",
            )
        try:
            return self._build()
        finally:
            guard.unlock()

    def _look(self) -> None:
        if not self._lock_file.is_file():
            raise EngineFailure(
                "setup", f"The plugin lacks its list of packages: {self._lock_file}.", "Install the plugin again."
            )
        if self._wheels and not Path(self._wheels).is_dir():
            raise EngineFailure(
                "setup",
                f"The folder of wheels does not exist: {self._wheels}.",
                "Correct it, or clear it to use the network, under Settings ▸ Options ▸ SameScene.",
            )

    def _build(self) -> EngineLocation:
        self._tell(0.0, "Looking for a Python")
        base = self._base or find_base_python(
            chosen=self._chosen, on_line=self._on_line, is_cancelled=self._is_cancelled
        )
        self._on_line(base.described)
        self._check_space()
        if self._folder.exists():
            self._on_line(f"Removing {self._folder}")
            remove_environment(self._folder)
        try:
            self._make(base)
            self._install(base)
            location = EngineLocation(environment_python(self._folder), self._source, MANAGED)
            report = self._examine(location)
            write_marker(
                self._folder,
                {
                    "lock": lock_key(self._lock_file),
                    "python": list(base.version),
                    "base": str(base.path),
                    "engine_version": report.get("engine_version"),
                    "made": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                },
            )
        except OSError as error:
            self._remove()
            raise EngineFailure(
                "setup",
                f"{error.filename or self._folder}: {error.strerror or error}.",
                "Choose another folder for the environment, or free some space.",
            ) from error
        except BaseException:
            self._remove()
            raise
        self._on_progress(1.0, "The engine is set up")
        return location

    def _check_space(self) -> None:
        free, needed = QStorageInfo(str(self._folder.parent)).bytesAvailable(), self._needed_bytes
        if 0 <= free < needed:
            raise EngineFailure(
                "setup",
                f"{self._folder.parent} has {free / 1e9:.1f} GB free, the engine needs {needed / 1e9:.1f} GB.",
                "Free some space, or choose another folder under Settings ▸ Options ▸ SameScene.",
            )

    def _make(self, base: BasePython) -> None:
        self._tell(0.02, "Making the environment")
        lines: list[str] = []
        code = self._run(base.path, ["-I", "-X", "utf8", "-m", "venv", str(self._folder)], base, lines.append)
        if code != 0 or not environment_python(self._folder).exists():
            last = next((line for line in reversed(lines) if line.strip()), f"exit code {code}")
            raise EngineFailure(
                "setup",
                f"{base.path} cannot make a virtual environment: {last[:300]}.",
                "Choose another Python under Settings ▸ Options ▸ SameScene.",
            )

    def _install(self, base: BasePython) -> None:
        self._tell(0.06, "Reading the list of packages")
        progress = PipProgress(count_requirements(self._lock_file.read_text(encoding="utf-8")))
        options = ["--no-index", "--find-links", self._wheels] if self._wheels else []
        arguments = [
            *("-I", "-X", "utf8", "-m", "pip", "--no-input", "--disable-pip-version-check", "install"),
            *("--progress-bar", "off", "--no-color", "--require-hashes", "--only-binary", ":all:"),
            *("--timeout", "60", *options, "-r", str(self._lock_file)),
        ]

        def line(text: str) -> None:
            if progress.take(text):
                self._tell(0.06 + 0.86 * progress.fraction, progress.message)

        def slice_() -> None:
            if progress.fraction >= 0.7 and progress.installed(self._packages()):
                self._tell(0.06 + 0.86 * progress.fraction, progress.message)

        code = self._run(environment_python(self._folder), arguments, base, line, slice_)
        if code != 0:
            message, remedy = progress.fault(offline=self._wheels, code=code)
            raise EngineFailure("setup", message, remedy)

    def _examine(self, location: EngineLocation) -> dict[str, Any]:
        self._tell(0.93, "Asking the engine whether all is well")
        report = location.process().run_job(
            "doctor",
            {},
            on_progress=lambda fraction, stage, message: self._tell(0.93 + 0.06 * fraction, message or stage),
            on_log=lambda level, message: self._on_line(message),
            is_cancelled=self._is_cancelled,
        )
        problems = []
        for check in report.get("checks") or []:
            self._on_line(f"{check.get('status')}: {check.get('area')}: {check.get('name')}: {check.get('found')}")
            if check.get("status") == "problem" and check.get("area") in ("Python", "Packages"):
                problems.append(f"{check.get('name')}: {check.get('found')}")
        if problems:
            raise EngineFailure(
                "setup",
                f"The packages were installed, but the engine does not work with them: {'; '.join(problems)}.",
                "See the log, and report it.",
            )
        return report

    def _run(
        self,
        program: Path,
        arguments: list[str],
        base: BasePython,
        on_line: Callable[[str], None],
        on_slice: Callable[[], None] = lambda: None,
    ) -> int:
        def line(text: str) -> None:
            self._on_line(text)
            on_line(text)

        return run_program(
            str(program),
            arguments,
            environment=self._environment(base),
            on_line=line,
            on_slice=on_slice,
            is_cancelled=self._is_cancelled,
        )

    def _environment(self, base: BasePython) -> QProcessEnvironment:
        environment = probe_environment(base.extra_path)
        for name in DROPPED_PIP:
            environment.remove(name)
        for name, value in self._proxy.items():
            environment.insert(name, value)
        return environment

    def _packages(self) -> int:
        pattern = (
            "Lib/site-packages/*.dist-info" if (self._folder / "Lib").is_dir() else "lib/*/site-packages/*.dist-info"
        )
        return sum(1 for path in self._folder.glob(pattern) if not path.name.startswith("pip-"))

    def _remove(self) -> None:
        self._on_line(f"Removing {self._folder}")
        try:
            remove_environment(self._folder)
        except EngineFailure as failure:
            self._on_line(failure.line)  # the first failure is the one to report; the next attempt removes the rest

    def _tell(self, fraction: float, message: str) -> None:
        if self._is_cancelled():
            raise EngineCancelled
        self._on_progress(fraction, message)


def is_complete(settings: EngineSettings) -> bool:
    """Whether the environment of this release stands already."""
    return read_marker(settings.managed_environment) is not None
