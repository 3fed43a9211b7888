"""Finding chips with land-cover labels."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.errors import MissingFileError, ParameterError
from engine.mapping.scene.places import only_one, parse_place, rasters_below

Sensors = Literal["s1", "s2", "both"]
KINDS = ("folder", "dfc2020", "terramesh")
SPLITS = {"validation": "ROIs0000_validation", "val": "ROIs0000_validation", "test": "ROIs0000_test"}
_SUFFIX = "_worldcover"
_EXPECTED = {
    "folder": f"NAME.tif with NAME{_SUFFIX}.tif",
    "dfc2020": "ROIs0000_test_s2_0_p0.tif with ROIs0000_test_dfc_0_p0.tif",
    "terramesh": "NAME_S1.tif or NAME_S2L2A.tif with NAME_lulc.tif",
}
_DFC = re.compile(r"(ROIs\d+_[a-z]+)_(s1|s2|dfc)_([A-Za-z0-9]+)_(p\d+)")
_TERRAMESH = re.compile(r"(.+)_(S1|S2L2A|S2L1C|lulc)")


@dataclass(frozen=True, order=True)
class Chip:
    """A label with images by sensor (an image of ``"any"`` tells its sensor by its bands). ``bands``: the numbers of
    the layout's Sentinel-1 bands, where its files do not name them."""

    name: str
    label: Path
    images: tuple[tuple[str, Path], ...]
    bands: str | None = None

    def of(self, sensors: Sensors | None) -> tuple[Path, ...]:
        """The images of these sensors, all of them for None; empty where one is not there."""
        if sensors is None or all(sensor == "any" for sensor, _ in self.images):
            return tuple(path for _, path in self.images)
        wanted = ("s1", "s2") if sensors == "both" else (sensors,)
        found = dict(self.images)
        return tuple(found[sensor] for sensor in wanted) if set(wanted) <= set(found) else ()

    def numbers(self, sensors: Sensors | None) -> str | None:
        """``bands`` where a Sentinel-1 image is among those of ``sensors``."""
        return self.bands if sensors != "s2" and any(sensor == "s1" for sensor, _ in self.images) else None


@dataclass(frozen=True)
class ChipSet:
    """Chips by name, the ``legend`` of their labels and the codes that mean no label."""

    chips: list[Chip]
    legend: str = "worldcover"
    ignored: tuple[int, ...] = (0, 255)


def find_chips(place: str) -> ChipSet:
    """Chips of ``PATH`` or ``KIND:PATH[@SPLIT]``.

    ``folder``: ``NAME.tif`` (named bands) with ``NAME_worldcover.tif``, anywhere below; ``@SPLIT`` is a sub-folder.
    ``dfc2020``: the published layout of the 2020 Data Fusion Contest (``ROIs0000_test_s2_0_p0.tif`` beside ``_s1_`` and
    ``_dfc_``), split validation or test. ``terramesh``: ``NAME_S1.tif`` and ``NAME_S2L2A.tif`` (else ``_S2L1C``) with
    ``NAME_lulc.tif`` in Esri's legend. Files without a partner are ignored. Raises MissingFileError, ParameterError (a
    name that occurs twice, an unknown kind or split, no chip at all).
    """
    kind, path, split = parse_place(place, KINDS)
    if not path.exists():
        raise MissingFileError(f"{path}: the folder of labelled chips does not exist.", remedy="Check the path.")
    if not path.is_dir():
        raise ParameterError(f"{path}: is a file; expected a folder with {_EXPECTED[kind]}.", remedy="Give the folder.")
    if split is not None and kind != "dfc2020":
        path = path / split
        if not path.is_dir():
            raise ParameterError(f"{path}: the sub-folder of split {split!r} does not exist.", remedy="Check its name.")
    found = _dfc2020(path, split) if kind == "dfc2020" else (_terramesh if kind == "terramesh" else _folder)(path)
    if not found.chips:
        raise ParameterError(
            f"{path}: no labelled chip was found; expected {_EXPECTED[kind]}.",
            remedy="Name the files so, or name the layout, for example dfc2020:PATH@test.",
        )
    return found


def _folder(path: Path) -> ChipSet:
    files: dict[str, list[Path]] = {}
    for file in rasters_below(path):
        files.setdefault(file.stem, []).append(file)
    chips = []
    for stem, labels in sorted(files.items()):
        name = stem.removesuffix(_SUFFIX)
        if name != stem and name in files:
            image = only_one(name, "image", files[name])
            chips.append(Chip(name, only_one(name, "label", labels), (("any", image),)))
    return ChipSet(chips)


def _terramesh(path: Path) -> ChipSet:
    roles = _roles(path, _TERRAMESH)
    chips = []
    for (name,), files in roles.items():
        light = files.get("S2L2A", files.get("S2L1C"))
        images = [("s1", files.get("S1")), ("s2", light)]
        there = tuple((sensor, file) for sensor, file in images if file is not None)
        if "lulc" in files and there:
            chips.append(Chip(name, files["lulc"], there))
    return ChipSet(chips, "esri-lulc", (0, 8, 255))


def _dfc2020(path: Path, split: str | None) -> ChipSet:
    if split is not None and split not in SPLITS:
        raise ParameterError(f"dfc2020 has no split {split!r}.", remedy="Splits: validation, test.")
    chips = []
    for (season, scene, patch), files in _roles(path, _DFC).items():
        there = tuple((sensor, files[sensor]) for sensor in ("s1", "s2") if sensor in files)
        if "dfc" in files and there and (split is None or season == SPLITS[split]):
            chips.append(Chip(f"{season}_{scene}_{patch}", files["dfc"], there, "VV=1,VH=2"))
    return ChipSet(chips, "dfc2020")


def _roles(path: Path, pattern: re.Pattern[str]) -> dict[tuple[str, ...], dict[str, Path]]:
    """Files by what is the same in their names, then by the second group of ``pattern``."""
    found: dict[tuple[str, ...], dict[str, list[Path]]] = {}
    for file in rasters_below(path):
        match = pattern.fullmatch(file.stem)
        if match:
            groups = match.groups()
            found.setdefault((groups[0], *groups[2:]), {}).setdefault(groups[1], []).append(file)
    return {
        key: {role: only_one("_".join(key), role, files) for role, files in roles.items()}
        for key, roles in sorted(found.items())
    }
