"""The plain folder: NAME_S1.tif, NAME_S2.tif or NAME.tif with a label beside them, or a pairs.csv that names them."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path

from engine.errors import DamagedFileError, ParameterError
from engine.legends import find_legend
from engine.mapping.scene.places import only_one, rasters_below
from engine.training.data.items import (
    IGNORE,
    OWN_LEGEND,
    Acquisition,
    LabelFile,
    LabelItem,
    Labels,
    LeftOut,
    PairItem,
    moment_in,
    place_of,
)
from engine.training.data.kinds.groups import Groups

FLOOD = {0: "not water", 1: "water"}
LIST = "pairs.csv"
_LANDCOVER = {"landcover": OWN_LEGEND, "worldcover": "worldcover", "lulc": "esri-lulc"}
"""What NAME_ROLE.tif (or a column of pairs.csv) of land-cover labels is called, and its legend."""

_ROLES = re.compile(rf"(.+)_(S1|S2|S2L2A|S2L1C|label|{'|'.join(_LANDCOVER)})")
_S2_COLUMNS = ("s2", "s2_l2a", "s2_l1c")
_LABEL_COLUMNS = ("label", "flood_label")
_GROUP_COLUMNS = ("place", "group", "site")


def find(path: Path, split: str | None, *, labels: Labels = "flood") -> tuple[list[PairItem], list[LeftOut]]:
    """Items of a folder, of its sub-folder ``split``, or of a ``pairs.csv`` (rows of ``split``).

    By name: ``NAME_S1.tif`` with ``NAME_S2.tif`` (or ``_S2L2A``, ``_S2L1C``, in this order, or ``NAME.tif`` with a
    label) and ``NAME_label.tif`` (1 water, 0 not, −1 ignore), or land cover: ``NAME_worldcover.tif`` (ESA WorldCover),
    ``NAME_lulc.tif`` (ESRI) or ``NAME_landcover.tif`` (codes of the legend that is trained for), 0 no label; anywhere
    below; files without a partner are passed over. ``labels`` says which is taken where there are several. Groups come
    from ``groups.csv`` (:class:`Groups`), else from the names. By list: columns ``name``, ``s1``, ``s2`` or ``s2_l2a``
    or ``s2_l1c``, and if there are any ``split``, ``place`` or ``group`` or ``site``, ``label`` or ``flood_label``,
    ``worldcover``, ``lulc``, ``landcover``, ``s1_date``, ``s2_date``; paths from the list's folder or the one above.
    """
    if path.is_file() and path.suffix.lower() == ".csv":
        return _listed(path, split, labels)
    if (path / LIST).is_file():
        return _listed(path / LIST, split, labels)
    if split is not None:
        path = path / split
        if not path.is_dir():
            raise ParameterError(f"{path}: the sub-folder of split {split!r} does not exist.", remedy="Check its name.")
    roles: dict[str, dict[str, list[Path]]] = {}
    plain: dict[str, list[Path]] = {}
    for file in rasters_below(path):
        match = _ROLES.fullmatch(file.stem)
        if match:
            roles.setdefault(match[1], {}).setdefault(match[2], []).append(file)
        else:
            plain.setdefault(file.stem, []).append(file)
    groups = Groups(path)
    items = []
    for name, found in sorted(roles.items()):
        one = {role: only_one(name, role, files) for role, files in found.items()}
        label = _label(one, labels)
        s1, s2 = one.get("S1"), one.get("S2") or one.get("S2L2A") or one.get("S2L1C")
        if s1 is None and s2 is None and label is not None and name in plain:
            s2 = only_one(name, "image", plain[name])
        image = s1 or s2
        item = _item(name, s1=s1, s2=s2, label=label, group=groups.of(name, image) if image else "")
        if item is not None:
            items.append(item)
    return items, []


def _label(files: Mapping[str, Path], labels: Labels) -> LabelFile | None:
    """The label among the files of an item, by role: of the kind that is asked for, else of the other."""
    water = LabelFile(files["label"], classes=FLOOD) if "label" in files else None
    role = next((role for role in _LANDCOVER if role in files), None)
    cover = legend_label(files[role], _LANDCOVER[role]) if role else None
    return (cover or water) if labels == "landcover" else (water or cover)


def legend_label(path: Path, legend: str) -> LabelFile:
    """Land-cover labels with the codes of ``legend``; 0 and 255 are no label."""
    classes = {} if legend == OWN_LEGEND else {one.code: one.name for one in find_legend(legend).classes}
    mapped = {} if legend == OWN_LEGEND else find_legend(legend).to.get("worldcover", {})
    ignore = (IGNORE, 0, 255, *(code for code in mapped if code not in classes))  # codes of clouds, for example
    return LabelFile(path, ignore=ignore, classes=classes, legend=legend)


def _item(
    name: str,
    *,
    s1: Path | None,
    s2: Path | None,
    label: LabelFile | None,
    group: str = "",
    s1_date: str = "",
    s2_date: str = "",
) -> PairItem | None:
    """None where there is no partner."""
    one = Acquisition("s1", s1, acquired=moment_in(s1_date or s1.stem)) if s1 else None
    two = Acquisition("s2", s2, acquired=moment_in(s2_date or s2.stem)) if s2 else None
    if label is not None and (one or two):
        return LabelItem(name, group or place_of(name), one, two, label=label)
    return PairItem(name, group or place_of(name), one, two) if one and two else None


def _listed(path: Path, split: str | None, labels: Labels) -> tuple[list[PairItem], list[LeftOut]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            columns = set(reader.fieldnames or ())
            rows = [{k: (v or "").strip() for k, v in row.items() if isinstance(k, str)} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DamagedFileError(f"{path}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
    if not {"name", "s1"} <= columns or not columns & set(_S2_COLUMNS):
        raise DamagedFileError(
            f"{path}: has the columns {', '.join(sorted(columns)) or 'none'}; expected name, s1 and s2.",
            remedy="Write a header line such as name,s1,s2,label,split.",
        )
    splits = {row.get("split", "") for row in rows}
    if split is not None:
        if split not in splits:
            raise ParameterError(
                f"{path}: no row has the split {split!r}.", remedy=f"Splits: {', '.join(sorted(splits - {''}))}."
            )
        rows = [row for row in rows if row.get("split") == split]
    names = [row["name"] for row in rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(
            f"{path}: the name {twice[0]!r} occurs {names.count(twice[0])} times.", remedy="Give each row its own."
        )
    items, left_out = [], []
    for row in rows:
        s2_column = next((c for c in _S2_COLUMNS if row.get(c)), "")
        named = {role: row[role] for role in _LANDCOVER if row.get(role)}
        water = next((row[c] for c in _LABEL_COLUMNS if row.get(c)), "")
        files = {role: _place(path, text) for role, text in {**named, **({"label": water} if water else {})}.items()}
        item = _item(
            row["name"],
            s1=_place(path, row["s1"]),
            s2=_place(path, row.get(s2_column, "")),
            label=_label({role: file for role, file in files.items() if file is not None}, labels),
            group=next((row[c] for c in _GROUP_COLUMNS if row.get(c)), ""),
            s1_date=row.get("s1_date", ""),
            s2_date=row.get(f"{s2_column}_date", "") if s2_column else "",
        )
        if item is None:
            why = f"{path}: the row {row['name']!r} names no {'S2' if row['s1'] else 'S1'} file."
            left_out.append(LeftOut(row["name"], "unpaired", why, False))
        else:
            items.append(item)
    return items, left_out


def _place(path: Path, text: str) -> Path | None:
    """The file that a row names; where it is not found, the path beside the list, so that reading names it."""
    if not text:
        return None
    here = path.parent / text
    above = path.parent.parent / text
    return above if not here.exists() and above.exists() else here
