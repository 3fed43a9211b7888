"""Any exception as one line for the user: expected failures as they are, the rest named as what they are."""

from __future__ import annotations

import traceback

from engine.errors import Cancelled, EngineError


class InternalError(EngineError):
    """Something escaped that no user can mend: a defect of the engine."""

    kind = "internal"


class OutOfMemoryError(EngineError):
    """The machine has not enough memory for what was asked."""

    kind = "memory"


def explain(error: BaseException) -> EngineError:
    """``error`` as an EngineError: itself when it is one; memory, file-system and interrupt errors in words."""
    if isinstance(error, EngineError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return Cancelled()
    if isinstance(error, MemoryError):
        return OutOfMemoryError(
            f"The machine ran out of memory ({error or 'no further detail'}).",
            remedy="Close other programs, or map a smaller area with --aoi.",
        )
    if type(error).__name__ == "OutOfMemoryError":  # torch's, which is not imported for it
        return OutOfMemoryError(
            "The graphics processor has too little memory for this.",
            remedy="Close other programs that use it, or run with --device cpu.",
        )
    if isinstance(error, OSError) and error.filename is not None:
        from engine.outputs import explain_os_error

        return explain_os_error(error, error.filename)
    text = str(error).strip().splitlines()
    return InternalError(
        f"The engine met a fault of its own: {type(error).__name__}{': ' + text[0][:300] if text else ''}.",
        remedy="Please report it with the traceback that --debug shows.",
    )


def traceback_text(error: BaseException) -> str:
    """The traceback of ``error`` with its causes, many lines."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__)).rstrip()
