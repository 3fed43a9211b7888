"""Finding a set: ``PATH`` or ``KIND:PATH[@SPLIT]``."""

from __future__ import annotations

import re
from pathlib import Path

from engine.crossview.data import cvact, cvusa, pairs_csv, vigor
from engine.crossview.data.items import CrossViewSet
from engine.errors import MissingFileError, ParameterError

KINDS = {"pairs-csv": pairs_csv.find, "cvusa": cvusa.find, "cvact": cvact.find, "vigor": vigor.find}


def find_set(place: str) -> CrossViewSet:
    """The set at ``place``; lists and names alone are read, no image. Without KIND it is a pairs.csv, or a folder with
    one. What exists as it stands is a path, whatever colons and at signs are in it.

    Raises ParameterError (unknown kind or split, nothing found), MissingFileError, DamagedFileError (a list).
    """
    kind, rest, split = "pairs-csv", place, None
    match = re.match(r"([a-z0-9-]{2,}):(.+)", place, re.DOTALL)
    if match and not Path(place).exists():
        kind, rest = match[1], match[2]
        if kind not in KINDS:
            raise ParameterError(f"There is no data kind {kind!r}.", remedy=f"Kinds: {', '.join(KINDS)}.")
    path = Path(rest).expanduser()
    if not path.exists() and "@" in rest:
        head, _, split = rest.rpartition("@")
        path = Path(head).expanduser()
    if not path.exists():
        raise MissingFileError(f"{path}: the data does not exist.", remedy="Check the path.")
    found = KINDS[kind](path, split, place=place)
    if not found.grounds and not found.overheads:
        why = f"; {found.left_out[0][1]}" if found.left_out else ""
        raise ParameterError(f"{place}: no pair was found{why}", remedy="Check the path and the kind.")
    return found
