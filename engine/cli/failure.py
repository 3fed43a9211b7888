"""Failures on the command line: one line on stderr and exit code 1; a traceback only when asked for."""

from __future__ import annotations

import io
import sys
from typing import NoReturn, TextIO

from engine.errors import Cancelled, EngineError, MissingExtraError
from engine.failures import explain, traceback_text


def error_line(error: EngineError) -> str:
    """The line for stderr; characters that a terminal would obey are written as escapes."""
    text = "Cancelled." if isinstance(error, Cancelled) else f"Error: {error.line}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def exit_code(error: EngineError) -> int:
    """130 for a cancel, 1 for all else."""
    return 130 if isinstance(error, Cancelled) else 1


def report(error: BaseException, stream: TextIO, *, debug: bool) -> int:
    """Write the line (after the traceback, with ``debug``) and give the exit code."""
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("engine"):
        told: EngineError = MissingExtraError(
            f"The Python package {error.name!r} is not installed.",
            remedy="Install the engine again (pip install samescene), and see 'engine doctor'.",
        )
    else:
        told = explain(error)
    if debug and not isinstance(told, Cancelled):
        stream.write(traceback_text(error) + "\n")
    stream.write(error_line(told) + "\n")
    stream.flush()
    return exit_code(told)


def report_and_exit(error: BaseException, *, debug: bool) -> NoReturn:
    """:func:`report` on stderr (where there is one), then SystemExit."""
    sys.exit(report(error, sys.stderr or io.StringIO(), debug=debug))
