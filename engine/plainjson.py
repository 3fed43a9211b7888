"""JSON that every reader accepts: no NaN, no infinity, no numpy scalars, one line where a line is wanted."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import PurePath
from typing import Any


def to_plain(value: Any) -> Any:
    """``value`` from JSON's own types: NaN and infinities become null, numpy scalars and arrays numbers and lists,
    paths, dates and enumerations text. Raises TypeError for anything else."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return to_plain(value.value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(to_plain(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if hasattr(value, "model_dump"):
        return to_plain(value.model_dump())
    raise TypeError(f"A {type(value).__name__} cannot be written as JSON.")


def dumps(value: Any, *, indent: int | None = None) -> str:
    """JSON text of :func:`to_plain` of ``value``; pure ASCII, and one line unless ``indent`` is given."""
    return json.dumps(to_plain(value), indent=indent, allow_nan=False, ensure_ascii=True)
