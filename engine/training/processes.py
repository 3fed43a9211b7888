"""What torchrun tells a process about itself, by environment variables; read without torch."""

from __future__ import annotations

import os

from engine.errors import ParameterError


def is_main_process() -> bool:
    """False in the processes of a torchrun that only compute: they write nothing and say nothing."""
    return number_of("RANK", 0) == 0


def number_of(name: str, default: int) -> int:
    """The whole number in the variable ``name``, ``default`` where it is not set; raises ParameterError."""
    text = os.environ.get(name, "")
    try:
        return int(text) if text else default
    except ValueError as error:
        raise ParameterError(f"The environment variable {name} is {text!r}; expected a whole number.") from error
