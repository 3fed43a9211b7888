"""Where labelled data lies: ``KIND:PATH[@SPLIT]``, and the rasters below a folder."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import ParameterError

EXTENSIONS = (".tif", ".tiff")


def parse_place(place: str, kinds: Sequence[str]) -> tuple[str, Path, str | None]:
    """Kind, path and split of ``PATH`` or ``KIND:PATH[@SPLIT]``; without KIND it is "folder".

    What exists as it stands is a path, whatever colons and at signs are in it. Raises ParameterError for a kind that is
    not among ``kinds``; whether the path exists is the caller's to ask.
    """
    kind = "folder"
    match = re.match(r"([a-z0-9-]{2,}):(.+)", place, re.DOTALL)
    if match and not Path(place).exists():
        kind, place = match[1], match[2]
        if kind not in kinds:
            raise ParameterError(f"There is no data kind {kind!r}.", remedy=f"Kinds: {', '.join(kinds)}.")
    path = Path(place).expanduser()
    split = None
    if not path.exists() and "@" in place:
        head, _, split = place.rpartition("@")
        path = Path(head).expanduser()
    return kind, path, split


def rasters_below(path: Path) -> Iterator[Path]:
    """GeoTIFFs in ``path`` and its sub-folders in the order of their names; hidden ones are passed over."""
    for file in sorted(path.rglob("*")):
        hidden = any(part.startswith(".") for part in file.relative_to(path).parts)
        if file.suffix.lower() in EXTENSIONS and not hidden and file.is_file():
            yield file


def only_one(name: str, role: str, found: list[Path]) -> Path:
    """The one file of ``found``; raises ParameterError when the name occurs more than once."""
    if len(found) > 1:
        raise ParameterError(
            f"The name {name!r} occurs {len(found)} times as {role}: {', '.join(map(str, found[:3]))}.",
            remedy="Give each chip a name of its own, or give one sub-folder.",
        )
    return found[0]


def first_folder(path: Path, below: tuple[str, ...], *, inside: str) -> Path | None:
    """The first of ``below`` in ``path`` or ``path/v1.1`` that holds a folder ``inside``; None where none does."""
    for root in (path, path / "v1.1"):
        for part in below:
            if (root / part / inside).is_dir():
                return root / part
    return None
