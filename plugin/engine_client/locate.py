"""Which Python runs the engine: the user's choice, the variable, the managed environment, or a checkout's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .environment import engine_environment
from .failure import EngineFailure
from .managed import managed_environments, read_marker
from .process import EngineHello, EngineProcess
from .settings import VARIABLE, EngineSettings, environment_python

SETTING, VARIABLE_ORIGIN, MANAGED, CHECKOUT = "setting", "variable", "managed", "checkout"

WHERE = "Settings ▸ Options ▸ SameScene"

ORIGIN_TITLES = {
    SETTING: "chosen in the options",
    VARIABLE_ORIGIN: f"named by the variable {VARIABLE}",
    MANAGED: "managed environment",
    CHECKOUT: "environment of the source checkout",
}


@dataclass(frozen=True)
class EngineLocation:
    """``python`` runs the engine whose source lies in ``source``; ``origin``: setting, variable, managed, checkout."""

    python: Path
    source: Path
    origin: str
    arguments: list[str] = field(default_factory=list, compare=False)

    @property
    def worker_arguments(self) -> list[str]:
        """What follows ``python`` to start a worker."""
        return self.arguments or ["-I", "-u", "-X", "utf8", str(self.source / "engine" / "worker_main.py")]

    @property
    def described(self) -> str:
        """The Python and where it comes from, for people."""
        return f"{self.python} ({ORIGIN_TITLES.get(self.origin, self.origin)})"

    def process(self, variables: Mapping[str, str] | None = None) -> EngineProcess:
        """A client for this engine; ``variables`` (a proxy's) are added to its environment."""
        return EngineProcess(str(self.python), self.worker_arguments, environment=engine_environment(variables))


def find_engine(settings: EngineSettings | None = None) -> EngineLocation:
    """The engine to use. Looks at files only (quick, safe in the GUI thread); :func:`check_engine` asks the engine.

    A choice of the user (setting, then variable) is never passed over in silence: if its file is not there, that is
    the failure. Raises EngineFailure (``no-engine``) that says what to do.
    """
    settings = settings or EngineSettings()
    if not (settings.root / "engine" / "worker_main.py").is_file():
        raise EngineFailure(
            "no-engine",
            f"The engine's source is missing from the plugin: {settings.root / 'engine'}.",
            "Install the plugin again.",
        )
    chosen = settings.engine_python
    if chosen:
        if not Path(chosen).is_file():
            raise EngineFailure(
                "no-engine",
                f"The engine's Python that the options name does not exist: {chosen}.",
                f"Choose another one, or clear it, under {WHERE}.",
            )
        return EngineLocation(_absolute(chosen), settings.root, SETTING)
    named = settings.variable_python()
    if named:
        if not Path(named).is_file():
            raise EngineFailure(
                "no-engine",
                f"The engine's Python that the variable {VARIABLE} names does not exist: {named}.",
                "Correct the variable or unset it, then start QGIS again.",
            )
        return EngineLocation(_absolute(named), settings.root, VARIABLE_ORIGIN)
    managed = settings.managed_environment
    python = environment_python(managed)
    if read_marker(managed) is not None and python.exists():
        return EngineLocation(python, settings.root, MANAGED)
    own = environment_python(settings.root / ".venv-engine")
    if own.exists():
        return EngineLocation(own, settings.root, CHECKOUT)
    raise EngineFailure("no-engine", _why_none(settings), f"Open {WHERE} and press 'Set up engine'.")


def check_engine(
    location: EngineLocation, *, is_cancelled: Callable[[], bool] = lambda: False, timeout_s: float = 60.0
) -> EngineHello:
    """Start the engine, hear its versions and end it (about a second; call it from a worker thread).

    Raises EngineFailure: it does not start, has no packages, or speaks another protocol.
    """
    return location.process().hello(is_cancelled=is_cancelled, timeout_s=timeout_s)


def _why_none(settings: EngineSettings) -> str:
    others = managed_environments(settings)
    if any(e.current and not e.complete for e in others):
        return "The engine's environment is only half built: setting it up was interrupted."
    if any(e.complete for e in others):
        return "The engine's environment belongs to another release of the plugin and must be set up for this one."
    return "The engine is not set up yet: SameScene computes in a Python environment of its own."


def _absolute(path: str) -> Path:
    # Not resolve(): a venv's python is a link, and following it would lose the venv.
    return Path(path).absolute()
