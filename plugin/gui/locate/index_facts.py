"""What an index of a region is, from its card; and the removal of its files. Reads files, knows no widgets."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...processing.reference_store import imagery_folder, remove_unused

CARD = "card.json"
KIND = "samescene-cell-index"
READY, UNFINISHED, GONE, BROKEN = "ready", "unfinished", "gone", "broken"
_OURS = ("result.json",)


@dataclass(frozen=True)
class IndexFacts:
    """An index as its card tells it; of one that is not ``ready`` only folder, state and fault are known.

    ``state``: ready, unfinished (begun and stopped: the same run goes on with it), gone, or broken. ``extent``: west,
    south, east, north in degrees. ``reference`` and what follows are of the imagery that was added last, ``gsd_m`` its
    metres a pixel; ``all_references``, ``all_dates`` and ``all_attributions`` of all, each once. ``size``: bytes of the
    files.
    """

    folder: str
    state: str
    fault: str = ""
    method: str = ""
    model: str = ""
    cells: int = 0
    gaps: int = 0
    cell_m: float = 0.0
    extent: tuple[float, float, float, float] | None = None
    reference: str = ""
    gsd_m: float | None = None
    imagery_date: str = ""
    attribution: str = ""
    all_references: tuple[str, ...] = ()
    all_dates: tuple[str, ...] = ()
    all_attributions: tuple[str, ...] = ()
    created: str = ""
    updated: str = ""
    size: int = 0

    @property
    def name(self) -> str:
        """What it is called: the name of its folder."""
        return Path(self.folder).name

    @property
    def taken(self) -> str:
        """When its imagery was taken: a day, or the first and the last; the empty string where nobody told."""
        days = sorted(date[:10] for date in self.all_dates)
        return " – ".join(dict.fromkeys((days[0], days[-1]))) if days else ""

    @property
    def described_by(self) -> str:
        """The method in a word, with the model where there is one: geometric, fused (crossview), my-town."""
        if self.method in ("", self.model) or not self.model:
            return self.model or self.method
        return f"{self.method} ({self.model})"

    @property
    def was_drawn(self) -> bool:
        """Whether its imagery is a picture that QGIS drew of a map server's layer, kept beside the index."""
        return bool(self.reference) and Path(self.reference).parent == imagery_folder(self.folder)

    @property
    def usable(self) -> bool:
        """Whether photos can be searched in it."""
        return self.state == READY


def building_folder(folder: str | Path) -> Path:
    """Where the engine keeps what is described of an index until it is whole."""
    folder = Path(folder)
    return folder.parent / f".{folder.name}.building"


def read_index(folder: str | Path) -> IndexFacts:
    """The facts of the index in a folder; never raises: what is wrong stands in ``state`` and ``fault``."""
    folder = Path(folder)
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if building_folder(folder).is_dir():
            return IndexFacts(str(folder), UNFINISHED)
        where = "it has no card.json" if folder.is_dir() else "the folder is not there"
        return IndexFacts(str(folder), GONE, f"{folder}: there is no index: {where}.")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not readable JSON"
        return IndexFacts(str(folder), BROKEN, f"{path}: the card of the index cannot be read ({reason}).")
    try:
        return _facts(folder, card)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return IndexFacts(str(folder), BROKEN, f"{path}: this is not the card of an index that can be used.")


def _facts(folder: Path, card: dict[str, Any]) -> IndexFacts:
    if card["kind"] != KIND:
        raise ValueError
    files = [file for shard in card["shards"] for file in shard["files"].values()]
    lacking = next((file["name"] for file in files if not (folder / file["name"]).is_file()), "")
    imagery = card["imagery"][-1]
    west, south, east, north = (float(value) for value in card["extent"])
    return IndexFacts(
        folder=str(folder),
        state=BROKEN if lacking else READY,
        fault=f"{folder / lacking}: a file of the index is missing; make the index again." if lacking else "",
        method=str(card["method"]),
        model=next((str(layer["model"]["name"]) for layer in card["layers"] if layer.get("model")), ""),
        cells=int(card["cells"]),
        gaps=int(card["gaps"]),
        cell_m=float(card["cell_m"]),
        extent=(west, south, east, north),
        reference=str(imagery.get("path") or ""),
        gsd_m=float(imagery["gsd_m"]) if imagery.get("gsd_m") else None,
        imagery_date=str(imagery.get("imagery_date") or ""),
        attribution=str(imagery.get("attribution") or ""),
        all_references=_each(card, "path"),
        all_dates=_each(card, "imagery_date"),
        all_attributions=_each(card, "attribution"),
        created=str(card.get("created") or ""),
        updated=str(card.get("updated") or ""),
        size=sum(int(file["bytes"]) for file in files),
    )


def _each(card: dict[str, Any], name: str) -> tuple[str, ...]:
    """What the card says of its imagery under a name, each once, in its order."""
    return tuple(dict.fromkeys(str(one[name]) for one in card["imagery"] if one.get(name)))


def delete_index(folder: str | Path) -> str:
    """Delete the files of an index, what is left of one that was not finished, and the imagery that was drawn for it;
    what else lies in the folder stays.

    The card goes first: an index that is half deleted is none. Returns one line on what could not be deleted, or the
    empty string.
    """
    folder = Path(folder)
    try:
        if building_folder(folder).is_dir():
            shutil.rmtree(building_folder(folder))
        for path in _files_of(folder):
            path.unlink(missing_ok=True)
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
        remove_unused(folder)
    except OSError as error:
        return f"{error.filename or folder}: it cannot be deleted ({error.strerror or error})."
    return ""


def _files_of(folder: Path) -> list[Path]:
    """The card, what it names, and the structures that searches made beside it; nothing where there is no card."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
        if card["kind"] != KIND:
            return []
        names = [file["name"] for shard in card["shards"] for file in shard["files"].values()]
        layers = [str(layer["name"]) for layer in card["layers"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    structures = [p for layer in layers for end in ("faiss", "json") for p in folder.glob(f"{layer}.*.{end}")]
    named = [folder / os.path.basename(str(name)) for name in (CARD, *names, *_OURS)]  # noqa: PTH119 - "a/b" stays out
    return [*named, *structures]
