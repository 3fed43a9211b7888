"""BigEarthNet-MM (Sumbul et al. 2021): Sentinel-1 and Sentinel-2 patches of 1.2 km with CORINE labels of the scene.

Published layout, version 1: ``BigEarthNet-v1.0/S2A_MSIL2A_20170613T101031_87_48/PATCH_B02.tif`` and
``BigEarthNet-S1-v1.0/S1A_IW_GRDH_1SDV_20170613T165043_33UUP_87_48/PATCH_VV.tif``, each with
``PATCH_labels_metadata.json`` that names the labels and, on the Sentinel-1 side, ``corresponding_s2_patch``. Version 2:
``BigEarthNet-S2/TILE/PATCH/PATCH_B02.tif`` and ``BigEarthNet-S1/TILE/PATCH/…`` without these files; there a pair is
the same tile, row and column, nearest in time. One file a band at its own pixel size (20, 60 and 120 pixels).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.sensors import Unit
from engine.training.data.items import (
    S1_BANDS,
    S2_BANDS,
    Acquisition,
    Layout,
    LeftOut,
    PairItem,
    days_apart,
    moment_in,
)

_S1_ROOTS, _S2_ROOTS = ("BigEarthNet-S1*",), ("BigEarthNet-S2*", "BigEarthNet-v1*")
_SPLITS = ("train", "val", "test")
_S1: Layout = tuple((f"{{name}}_{band}.tif", (band,)) for band in S1_BANDS)
_S2: Layout = tuple((f"{{name}}_{band}.tif", (band,)) for band in S2_BANDS)
_PLACE = re.compile(r".*_T?(\d\d[A-Z]{3})_(\d+)_(\d+)")
Place = tuple[str, str, str]


def find(path: Path, split: str | None) -> tuple[list[PairItem], list[LeftOut]]:
    """Pairs of patches; ``split`` reads ``SPLIT.csv`` or ``bigearthnet-SPLIT.csv`` with rows ``S2 patch,S1 patch``.

    A group is the Sentinel-2 scene (its patches touch each other). ``classes`` are the CORINE labels of the scene.
    """
    radar, optical = _root(path, _S1_ROOTS), _root(path, _S2_ROOTS)
    if radar is None or optical is None:
        raise ParameterError(
            f"{path}: the layout of BigEarthNet-MM was not found; expected BigEarthNet-S1-v1.0 and BigEarthNet-v1.0, "
            "or BigEarthNet-S1 and BigEarthNet-S2.",
            remedy="Give the folder into which both archives were unpacked.",
        )
    s1_patches = {p.name: p for p in _patches(radar, "S1")}
    s2_patches = {p.name: p for p in _patches(optical, "S2")}
    left_out: list[LeftOut] = []
    pairs = _listed(path, split) if split is not None else _matched(s1_patches, s2_patches, left_out)
    items: list[PairItem] = []
    for s2_name, s1_name in pairs:
        sides = ((optical, s2_name, s2_patches), (radar, s1_name, s1_patches))
        lacking = next(((root, name) for root, name, have in sides if name not in have), None)
        if lacking is not None:
            why = f"{lacking[0] / lacking[1]}: the patch does not exist."
            left_out.append(LeftOut(s2_name, "missing", why))
            continue
        items.append(_item(s2_patches[s2_name], s1_patches[s1_name]))
    return items, left_out


def _item(optical: Path, radar: Path) -> PairItem:
    s1 = Acquisition("s1", radar, _S1, moment_in(radar.name), unit=Unit.DB)
    s2 = Acquisition("s2", optical, _S2, moment_in(optical.name), offset=0)
    labels = _metadata(optical).get("labels", [])
    group = re.sub(r"_\d+_\d+$", "", optical.name)
    return PairItem(optical.name, group, s1, s2, classes=tuple(str(label) for label in labels))


def _metadata(folder: Path) -> dict[str, Any]:
    file = folder / f"{folder.name}_labels_metadata.json"
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DamagedFileError(f"{file}: cannot be read as JSON ({error}).", remedy="Copy it again.") from error
    return found if isinstance(found, dict) else {}


def _matched(
    s1_patches: dict[str, Path], s2_patches: dict[str, Path], left_out: list[LeftOut]
) -> list[tuple[str, str]]:
    by_place: dict[Place, list[str]] = {}
    for name in s2_patches:
        place = _place(name)
        if place:
            by_place.setdefault(place, []).append(name)
    pairs: dict[str, str] = {}
    for name, folder in sorted(s1_patches.items()):
        partner = _metadata(folder).get("corresponding_s2_patch")
        if not isinstance(partner, str):
            partner = _nearest(name, by_place)
        if partner is None:
            left_out.append(LeftOut(name, "missing", f"{folder}: has no Sentinel-2 patch of the same place."))
        elif partner in pairs:
            left_out.append(LeftOut(name, "mismatched", f"{folder}: {partner} is paired with {pairs[partner]}."))
        else:
            pairs[partner] = name
    alone = sorted(set(s2_patches) - set(pairs))
    left_out += [LeftOut(n, "missing", f"{s2_patches[n]}: has no Sentinel-1 patch.") for n in alone]
    return sorted(pairs.items())


def _place(name: str) -> Place | None:
    match = _PLACE.fullmatch(name)
    return (match[1], match[2], match[3]) if match else None


def _nearest(name: str, by_place: dict[Place, list[str]]) -> str | None:
    place, moment = _place(name), moment_in(name)
    if place is None or moment is None:
        return None
    dated = [(days_apart(moment, m), n) for n in by_place.get(place, []) if (m := moment_in(n)) is not None]
    return min(dated)[1] if dated else None


def _patches(root: Path, prefix: str) -> Iterator[Path]:
    """Patch folders in ``root`` or one level down (version 2 sorts them by scene)."""
    for folder in sorted(p for p in root.iterdir() if p.is_dir()):
        inner = [p for p in folder.iterdir() if p.is_dir()]
        for patch in sorted(inner) if inner else (folder,):
            if patch.name.startswith(prefix):
                yield patch


def _root(path: Path, patterns: tuple[str, ...]) -> Path | None:
    return next((p for pattern in patterns for p in sorted(path.glob(pattern)) if p.is_dir()), None)


def _listed(path: Path, split: str) -> list[tuple[str, str]]:
    if split not in _SPLITS:
        raise ParameterError(f"bigearthnet-mm has no split {split!r}.", remedy=f"Splits: {', '.join(_SPLITS)}.")
    places = [path / name for name in (f"{split}.csv", f"bigearthnet-{split}.csv", f"splits/{split}.csv")]
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise MissingFileError(
            f"{places[0]}: the list of split {split!r} does not exist.",
            remedy="Copy it from the publisher's repository, or leave @SPLIT out.",
        )
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            rows = [[cell.strip() for cell in row] for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedFileError(f"{file}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
    for number, row in enumerate(rows, 1):
        if len(row) < 2 or not row[0].startswith("S2") or not row[1].startswith("S1"):
            raise DamagedFileError(
                f"{file}: row {number} is {','.join(row)!r}; expected the S2 patch and the S1 patch.",
                remedy="Copy the list again.",
            )
    return [(row[0], row[1]) for row in rows]
