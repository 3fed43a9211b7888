"""The error tree.

Every failure that a user can cause or mend is an :class:`EngineError`: one line that says what is wrong, where (file,
band, window), what was expected and found, and a remedy. Anything else that escapes is a defect of the engine.
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of all expected failures.

    ``message`` says what, where, expected and found; ``remedy`` says what to do next. Both are single lines: line
    breaks in values (paths, library texts) are folded to spaces. ``kind`` is the stable word of the worker protocol.
    """

    kind = "engine"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = " ".join(str(message).split())
        self.remedy = " ".join(str(remedy).split())
        super().__init__(self.line)

    @property
    def line(self) -> str:
        """The message and the remedy as one line."""
        return f"{self.message} {self.remedy}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (Dask, torch loaders): keep message and remedy apart.
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(cls: type[EngineError], message: str, remedy: str) -> EngineError:
    return cls(message, remedy=remedy)


class Cancelled(EngineError):  # noqa: N818 - no error but an answer
    """Raised at the next checkpoint after the user asked to stop; never an error to report as a failure."""

    kind = "cancelled"

    def __init__(self, message: str = "Cancelled.", *, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)


class InputError(EngineError, ValueError):
    """What was handed in cannot be used: the base of all errors about inputs."""

    kind = "input"


class MissingFileError(InputError):
    """A file or address that was named does not exist or cannot be reached."""

    kind = "missing-file"


class DamagedFileError(InputError):
    """A file exists but its contents cannot be read: truncated, wrong format, corrupt block."""

    kind = "damaged-file"


class GridError(InputError):
    """A raster's georeference is absent or unusable, or two grids do not overlap."""

    kind = "grid"


class BandError(InputError):
    """Bands that are needed were not found, or are ambiguous."""

    kind = "bands"


class UnitsError(InputError):
    """The values are not in a unit that is understood, or not in the one that was declared."""

    kind = "units"


class RegionError(InputError):
    """An area of interest or zone layer is empty, has no CRS, or lies outside the scene."""

    kind = "region"


class ParameterError(InputError):
    """An option has a value outside its range, or options contradict each other."""

    kind = "parameter"


class ModelError(EngineError):
    """A model is unknown, damaged, or does not fit the input."""

    kind = "model"


class DeviceError(EngineError):
    """The device that was asked for is not there or cannot be used."""

    kind = "device"


class MissingExtraError(EngineError):
    """An optional package is needed for what was asked; the remedy names the extra."""

    kind = "missing-extra"


class OutputError(EngineError):
    """The output cannot be written: folder not empty, read-only, disk full."""

    kind = "output"
