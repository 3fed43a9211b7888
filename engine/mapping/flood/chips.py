"""Finding labelled chips: which Sentinel-1 or Sentinel-2 file belongs to which label."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.mapping.scene.places import first_folder, only_one, parse_place, rasters_below

Sensors = Literal["s1", "s2", "both"]
SENSOR_FILES: dict[Sensors, tuple[str, ...]] = {"s1": ("s1",), "s2": ("s2",), "both": ("s1", "s2")}
KINDS = ("folder", "sen1floods11")
SEN1FLOODS11_SPLITS = {
    "train": "flood_train_data.csv",
    "valid": "flood_valid_data.csv",
    "val": "flood_valid_data.csv",
    "test": "flood_test_data.csv",
    "bolivia": "flood_bolivia_data.csv",
}


@dataclass(frozen=True, order=True)
class Chip:
    """A label with at least one image. ``numbers``: the band numbers of the layout, for files that name no bands."""

    name: str
    label: Path
    s1: Path | None = None
    s2: Path | None = None
    numbers: str | None = None

    def has(self, sensors: Sensors) -> bool:
        """Are the images of these sensors there?"""
        return all(getattr(self, sensor) is not None for sensor in SENSOR_FILES[sensors])


@dataclass(frozen=True)
class ChipSet:
    """The chips of one place, by name, and what a list of the layout names but the disk lacks (name → why)."""

    chips: list[Chip]
    unmatched: dict[str, str] = field(default_factory=dict)


def find_chips(place: str) -> ChipSet:
    """Chips of ``PATH`` or ``KIND:PATH[@SPLIT]``.

    ``folder``: ``NAME_S1.tif`` and/or ``NAME_S2.tif`` with ``NAME_label.tif``, anywhere below; ``@SPLIT`` is a
    sub-folder. ``sen1floods11``: the published layout of v1.1 (``S1Hand``, ``S2Hand``, ``LabelHand`` and the lists in
    ``splits/flood_handlabeled``). Files without a partner are ignored. Raises MissingFileError, ParameterError (a name
    that occurs twice, an unknown kind or split, no chip at all), DamagedFileError (a list that is no list).
    """
    kind, path, split = parse_place(place, KINDS)
    if not path.exists():
        raise MissingFileError(f"{path}: the folder of labelled chips does not exist.", remedy="Check the path.")
    if not path.is_dir():
        raise ParameterError(
            f"{path}: is a file; expected a folder with NAME_S1.tif and NAME_label.tif.", remedy="Give the folder."
        )
    found = _sen1floods11(path, split) if kind == "sen1floods11" else _folder(path, split)
    if not found.chips and not found.unmatched:
        wanted = "S1Hand and LabelHand" if kind == "sen1floods11" else "NAME_S1.tif or NAME_S2.tif with NAME_label.tif"
        raise ParameterError(
            f"{path}: no labelled chip was found; expected {wanted}.",
            remedy="Name the files so, or name the layout, for example sen1floods11:PATH@test.",
        )
    return ChipSet(sorted(found.chips), found.unmatched)


def _folder(path: Path, split: str | None) -> ChipSet:
    if split is not None:
        path = path / split
        if not path.is_dir():
            raise ParameterError(f"{path}: the sub-folder of split {split!r} does not exist.", remedy="Check its name.")
    roles: dict[str, dict[str, list[Path]]] = {}
    for file in rasters_below(path):
        match = re.fullmatch(r"(.+)_(S1|S2|label)", file.stem)
        if match:
            roles.setdefault(match[1], {}).setdefault(match[2], []).append(file)
    chips = []
    for name, files in sorted(roles.items()):
        if "label" in files and ("S1" in files or "S2" in files):
            one = {role: only_one(name, role, found) for role, found in files.items()}
            chips.append(Chip(name, one["label"], one.get("S1"), one.get("S2")))
    return ChipSet(chips)


def _sen1floods11(path: Path, split: str | None) -> ChipSet:
    hand = first_folder(
        path, ("", "HandLabeled", "flood_events/HandLabeled", "data/flood_events/HandLabeled"), inside="S1Hand"
    )
    if hand is None:
        raise ParameterError(
            f"{path}: the layout of Sen1Floods11 was not found; expected S1Hand in data/flood_events/HandLabeled.",
            remedy="Give the folder v1.1 of the data set.",
        )
    if split is None:
        names = [f.stem.removesuffix("_S1Hand") for f in rasters_below(hand / "S1Hand") if f.stem.endswith("_S1Hand")]
        labels = {name: hand / "LabelHand" / f"{name}_LabelHand.tif" for name in names}
        pairs = {name: label for name, label in labels.items() if label.is_file()}
        return ChipSet([_hand_chip(hand, name, label) for name, label in pairs.items()])
    chips, unmatched = [], {}
    for image, label in _split_rows(_split_list(path, hand, split)):
        name = image.removesuffix(".tif").removesuffix("_S1Hand")
        missing = [str(p) for p in (hand / "S1Hand" / image, hand / "LabelHand" / label) if not p.is_file()]
        if missing:
            unmatched[name] = f"{missing[0]}: is named in the list of the split and does not exist."
        else:
            chips.append(_hand_chip(hand, name, hand / "LabelHand" / label))
    names = [chip.name for chip in chips]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(
            f"The name {twice[0]!r} occurs {names.count(twice[0])} times in split {split!r}.", remedy="Mend the list."
        )
    return ChipSet(chips, unmatched)


def _hand_chip(hand: Path, name: str, label: Path) -> Chip:
    s1, s2 = (hand / f"{sensor}Hand" / f"{name}_{sensor}Hand.tif" for sensor in ("S1", "S2"))
    return Chip(name, label, s1 if s1.is_file() else None, s2 if s2.is_file() else None, "VV=1,VH=2")


def _split_list(path: Path, hand: Path, split: str) -> Path:
    name = SEN1FLOODS11_SPLITS.get(split)
    if name is None:
        raise ParameterError(
            f"Sen1Floods11 has no split {split!r}.", remedy=f"Splits: {', '.join(SEN1FLOODS11_SPLITS)}."
        )
    for root in (path, path / "v1.1", *hand.parents[:3]):
        for part in ("splits/flood_handlabeled", "flood_handlabeled", ""):
            if (root / part / name).is_file():
                return root / part / name
    raise MissingFileError(
        f"{path}: the list splits/flood_handlabeled/{name} of split {split!r} does not exist.",
        remedy="Copy the folder 'splits' of the data set beside 'data', or leave @SPLIT out to score every chip.",
    )


def _split_rows(path: Path) -> list[tuple[str, str]]:
    """Rows ``NAME_S1Hand.tif,NAME_LabelHand.tif`` without a header."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedFileError(f"{path}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
    for number, row in enumerate(rows, 1):
        if len(row) < 2 or Path(row[0]).name != row[0] or Path(row[1]).name != row[1]:
            raise DamagedFileError(
                f"{path}: row {number} is {','.join(row)!r}; expected NAME_S1Hand.tif,NAME_LabelHand.tif.",
                remedy="Copy it again.",
            )
    return [(row[0], row[1]) for row in rows]
