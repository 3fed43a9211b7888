"""SEN12MS (Schmitt et al. 2019) and the validation and test data of the 2020 Data Fusion Contest (DFC2020).

Published layout of both: ``ROIs1158_spring/s1_1/ROIs1158_spring_s1_1_p30.tif`` beside ``s2_1`` and ``lc_1`` (SEN12MS:
MODIS land cover, band 1 is IGBP) or ``dfc_1`` (DFC2020: ten classes at 10 m), some mirrors with folders of other names:
the file name says all. Sentinel-1 is VV, VH in dB; Sentinel-2 is 13 bands of L1C; neither names its bands.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.mapping.scene.places import only_one, rasters_below
from engine.sensors import SENTINEL2, Unit
from engine.training.data.items import S1_BANDS, Acquisition, LabelFile, LabelItem, Layout, LeftOut, PairItem

IGBP = {
    1: "evergreen needleleaf forest",
    2: "evergreen broadleaf forest",
    3: "deciduous needleleaf forest",
    4: "deciduous broadleaf forest",
    5: "mixed forest",
    6: "closed shrubland",
    7: "open shrubland",
    8: "woody savanna",
    9: "savanna",
    10: "grassland",
    11: "permanent wetland",
    12: "cropland",
    13: "urban",
    14: "cropland and natural vegetation",
    15: "snow and ice",
    16: "barren",
    17: "water",
}
DFC2020 = {
    1: "forest",
    2: "shrubland",
    3: "savanna",
    4: "grassland",
    5: "wetland",
    6: "cropland",
    7: "urban",
    8: "snow and ice",
    9: "barren",
    10: "water",
}
_FILE = re.compile(r"(ROIs\d+_[a-z]+)_(s1|s2|lc|dfc)_([A-Za-z0-9]+)_(p\d+)")
_LISTS = {"train": "train_list.txt", "test": "test_list.txt"}
_CONTEST = {"validation": "ROIs0000_validation", "val": "ROIs0000_validation", "test": "ROIs0000_test"}
_S1: Layout = (("", S1_BANDS),)
_L1C: Layout = (("", tuple(band.name for band in SENTINEL2.bands)),)

Key = tuple[str, str, str]


def find_sen12ms(path: Path, split: str | None) -> tuple[list[PairItem], list[LeftOut]]:
    """Items of SEN12MS; ``split`` train or test reads ``train_list.txt`` or ``test_list.txt`` in ``path`` or
    ``path/splits``. A scene (season and number) is a group. Labels are IGBP codes 1–17 of the land cover's band 1."""
    files = _files(path)
    wanted = sorted(set(files if split is None else _listed(path, split)))
    return _items(path, files, wanted, "lc", LabelFile(path, 1, (0, 255), IGBP, "igbp"))


def find_dfc2020(path: Path, split: str | None) -> tuple[list[PairItem], list[LeftOut]]:
    """Items of DFC2020; ``split`` is validation (986 patches) or test (5128). Labels are codes 1–10; 0 is ignored."""
    if split is not None and split not in _CONTEST:
        raise ParameterError(f"dfc2020 has no split {split!r}.", remedy="Splits: validation, test.")
    files = _files(path)
    season = _CONTEST[split] if split else None
    wanted = sorted(key for key in files if season is None or key[0] == season)
    return _items(path, files, wanted, "dfc", LabelFile(path, 1, (0, 255), DFC2020, "dfc2020"))


def _files(path: Path) -> dict[Key, dict[str, Path]]:
    found: dict[Key, dict[str, list[Path]]] = {}
    for file in rasters_below(path):
        match = _FILE.fullmatch(file.stem)
        if match:
            found.setdefault((match[1], match[3], match[4]), {}).setdefault(match[2], []).append(file)
    if not found:
        raise ParameterError(
            f"{path}: the layout was not found; expected files such as ROIs1158_spring_s1_1_p30.tif.",
            remedy="Give the folder into which the archives were unpacked.",
        )
    return {
        key: {role: only_one("_".join(key), role, files) for role, files in roles.items()}
        for key, roles in found.items()
    }


def _items(
    path: Path, files: dict[Key, dict[str, Path]], wanted: list[Key], label: str, form: LabelFile
) -> tuple[list[PairItem], list[LeftOut]]:
    items: list[PairItem] = []
    left_out: list[LeftOut] = []
    for season, scene, patch in wanted:
        name, here = f"{season}_{scene}_{patch}", files.get((season, scene, patch), {})
        lacking = [role for role in ("s1", "s2") if role not in here]
        if lacking:
            file = f"{season}_{lacking[0]}_{scene}_{patch}.tif"
            why = f"{path / season / f'{lacking[0]}_{scene}' / file}: does not exist."
            left_out.append(LeftOut(name, "missing", why))
            continue
        s1 = Acquisition("s1", here["s1"], _S1, unit=Unit.DB)
        s2 = Acquisition("s2", here["s2"], _L1C, offset=0)
        group = f"{season}_{scene}"
        if label in here:
            truth = replace(form, path=here[label])
            items.append(LabelItem(name, group, s1, s2, label=truth))
        else:
            items.append(PairItem(name, group, s1, s2))
    return items, left_out


def _listed(path: Path, split: str) -> list[Key]:
    if split not in _LISTS:
        raise ParameterError(f"sen12ms has no split {split!r}.", remedy=f"Splits: {', '.join(_LISTS)}.")
    places = (path / _LISTS[split], path / "splits" / _LISTS[split])
    file = next((place for place in places if place.is_file()), None)
    if file is None:
        raise MissingFileError(
            f"{places[0]}: the list of split {split!r} does not exist.",
            remedy="Copy it from the 'splits' folder of the SEN12MS toolbox, or leave @SPLIT out.",
        )
    keys = []
    try:
        lines = file.read_text(encoding="utf-8-sig").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{file}: cannot be read as a list ({error}).", remedy="Copy it again.") from error
    for line in lines:
        match = _FILE.fullmatch(line.removesuffix(".tif"))
        if match is None:
            raise DamagedFileError(
                f"{file}: {line!r} is no name of a patch; expected ROIs1158_spring_s2_1_p30.tif.",
                remedy="Copy the list again.",
            )
        keys.append((match[1], match[3], match[4]))
    return keys
