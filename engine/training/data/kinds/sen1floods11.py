"""Sen1Floods11 v1.1 (Bonafilia et al. 2020): flood chips of 512 × 512 pixels from eleven events.

Published layout: ``data/flood_events/HandLabeled/{S1Hand,S2Hand,LabelHand}/Ghana_103272_S1Hand.tif``, the lists
``splits/flood_handlabeled/flood_train_data.csv`` and so on, and ``WeaklyLabeled/{S1Weak,S2Weak,S2IndexLabelWeak}``.
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import ParameterError
from engine.mapping.flood.chips import find_chips
from engine.mapping.scene.places import first_folder, rasters_below
from engine.sensors import SENTINEL2, Unit
from engine.training.data.items import S1_BANDS, Acquisition, LabelFile, LabelItem, Layout, LeftOut, PairItem
from engine.training.data.kinds.folder import FLOOD

_S1: Layout = (("", S1_BANDS),)
_L1C: Layout = (("", tuple(band.name for band in SENTINEL2.bands)),)


def find(path: Path, split: str | None) -> tuple[list[PairItem], list[LeftOut]]:
    """Labelled chips; the event (``Ghana``) is the group. ``split``: train, valid, test, bolivia, or ``weak`` for the
    4,385 chips with labels computed from Sentinel-2."""
    if split == "weak":
        return _weak(path)
    place = f"sen1floods11:{path}@{split}" if split else f"sen1floods11:{path}"
    found = find_chips(place)
    items = [_item(chip.name, chip.s1, chip.s2, chip.label) for chip in found.chips]
    return items, [LeftOut(name, "missing", why) for name, why in sorted(found.unmatched.items())]


def _item(name: str, s1: Path | None, s2: Path | None, label: Path) -> PairItem:
    return LabelItem(
        name,
        name.rpartition("_")[0] or name,
        Acquisition("s1", s1, _S1, unit=Unit.DB) if s1 else None,
        Acquisition("s2", s2, _L1C, offset=0) if s2 else None,
        label=LabelFile(label, classes=FLOOD),
    )


def _weak(path: Path) -> tuple[list[PairItem], list[LeftOut]]:
    below = ("", "WeaklyLabeled", "flood_events/WeaklyLabeled", "data/flood_events/WeaklyLabeled")
    root = first_folder(path, below, inside="S1Weak")
    if root is None:
        raise ParameterError(
            f"{path}: the weakly labelled chips were not found; expected S1Weak in data/flood_events/WeaklyLabeled.",
            remedy="Give the folder v1.1 of the data set.",
        )
    items, left_out = [], []
    for file in rasters_below(root / "S1Weak"):
        name = file.stem.removesuffix("_S1Weak")
        s2 = root / "S2Weak" / f"{name}_S2Weak.tif"
        label = root / "S2IndexLabelWeak" / f"{name}_S2IndexLabelWeak.tif"
        if not label.is_file():
            left_out.append(LeftOut(name, "missing", f"{label}: does not exist."))
        else:
            items.append(_item(name, file, s2 if s2.is_file() else None, label))
    return items, left_out
