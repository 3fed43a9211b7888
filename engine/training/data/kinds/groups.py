"""``groups.csv``: which chips of a folder share ground, so that a split by place can keep them together."""

from __future__ import annotations

import csv
from pathlib import Path

from engine.errors import DamagedFileError

GROUPS = "groups.csv"
_NAMES = ("name", "chip")
_GROUPS = ("place", "group", "site")


class Groups:
    """The groups of chips, from ``groups.csv`` in a folder or the one above it; empty where there is none.

    Columns: ``name`` or ``chip``, and ``place``, ``group`` or ``site`` (the first that is there); with ``split`` a
    name counts in the sub-folder of that name. Raises DamagedFileError for a list without these columns.
    """

    def __init__(self, folder: Path) -> None:
        self._found: dict[tuple[str, str], str] = {}
        path = next((p for p in (folder / GROUPS, folder.parent / GROUPS) if p.is_file()), None)
        if path is None:
            return
        try:
            with path.open(newline="", encoding="utf-8-sig") as stream:
                reader = csv.DictReader(stream)
                columns = list(reader.fieldnames or ())
                rows = [{k: (v or "").strip() for k, v in row.items() if isinstance(k, str)} for row in reader]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DamagedFileError(f"{path}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
        name, group = (next((c for c in wanted if c in columns), None) for wanted in (_NAMES, _GROUPS))
        if name is None or group is None:
            raise DamagedFileError(
                f"{path}: has the columns {', '.join(columns) or 'none'}; expected name or chip, and place or group.",
                remedy="Write a header line such as chip,split,place.",
            )
        for row in rows:
            if row[name] and row[group]:
                self._found[row.get("split", ""), row[name]] = row[group]

    def of(self, name: str, file: Path) -> str:
        """The group of the chip ``name`` whose image is ``file``; "" where the list does not tell."""
        return self._found.get((file.parent.name, name)) or self._found.get(("", name), "")
