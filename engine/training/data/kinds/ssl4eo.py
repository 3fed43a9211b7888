"""SSL4EO-S12 (Wang et al. 2023): four seasons of Sentinel-1 GRD, Sentinel-2 L1C and L2A at 251,079 places.

Published layout, as the archives unpack: ``s1/0000200/ACQUISITION/{VV,VH}.tif``, ``s2c/0000200/ACQUISITION/{B1…B12,
B8A}.tif`` (13 bands), ``s2a/…`` (12 bands), one file a band at its own pixel size; the archives name the three folders
``s1``, ``s2c`` or ``s2_l1c``, ``s2a`` or ``s2_l2a``. The name of an acquisition holds its date.
"""

from __future__ import annotations

from pathlib import Path

from engine.errors import ParameterError
from engine.sensors import SENTINEL2, Unit
from engine.training.data.items import Acquisition, Layout, LeftOut, PairItem, moment_in, pair_dates
from engine.training.data.reading import finest

_S1 = ("s1", "s1_grd")
_LEVELS = {"L2A": ("s2a", "s2_l2a"), "L1C": ("s2c", "s2_l1c")}
_RADAR: Layout = tuple((f"{pol}.tif", (pol,)) for pol in ("VV", "VH"))
_OPTICAL: dict[str, Layout] = {
    level: tuple((f"B{b.name[1:].lstrip('0')}.tif", (b.name,)) for b in SENTINEL2.bands if b.name not in without)
    for level, without in (("L1C", ()), ("L2A", ("B10",)))
}
_SPLITS = {"l2a": "L2A", "s2a": "L2A", "l1c": "L1C", "s2c": "L1C"}


def find(path: Path, split: str | None, *, max_days: float) -> tuple[list[PairItem], list[LeftOut]]:
    """Pairs of dates not more than ``max_days`` apart, at every place; ``split``: l2a or l1c (default: l2a if there).

    A place's dates share a frame: all are read on the grid of its first Sentinel-2 date, so that dates can be swapped.
    """
    if split is not None and split.lower() not in _SPLITS:
        raise ParameterError(f"ssl4eo-s12 has no split {split!r}.", remedy="Give @l2a or @l1c, or none.")
    levels = [_SPLITS[split.lower()]] if split else list(_LEVELS)
    radar = _folder(path, _S1)
    found = [(level, folder) for level in levels if (folder := _folder(path, _LEVELS[level])) is not None]
    if radar is None or not found:
        raise ParameterError(
            f"{path}: the layout of SSL4EO-S12 was not found; expected folders s1 and s2a or s2c.",
            remedy="Give the folder into which the archives were unpacked.",
        )
    level, optical = found[0]
    items: list[PairItem] = []
    left_out: list[LeftOut] = []
    places = sorted({p.name for folder in (radar, optical) for p in folder.iterdir() if p.is_dir()})
    for place in places:
        lacking = next((folder for folder in (radar, optical) if not (folder / place).is_dir()), None)
        if lacking is not None:
            left_out.append(LeftOut(place, "missing", f"{lacking / place}: the folder of the place does not exist."))
            continue
        _add_place(place, radar / place, optical / place, level, max_days, items, left_out)
    return items, left_out


def _add_place(
    place: str,
    radar: Path,
    optical: Path,
    level: str,
    max_days: float,
    items: list[PairItem],
    left_out: list[LeftOut],
) -> None:
    dates: list[list[tuple[Path, Acquisition]]] = []
    for folder, sensor in ((radar, "s1"), (optical, "s2")):
        one = []
        for acquisition in sorted(p for p in folder.iterdir() if p.is_dir()):
            made = _acquisition(acquisition, sensor, level)
            if made.acquired is None:
                why = f"{acquisition}: the name holds no date."
                left_out.append(LeftOut(f"{place}/{acquisition.name}", "mismatched", why))
            else:
                one.append((acquisition, made))
        dates.append(one)
    s1, s2 = dates
    if not s2:
        left_out.append(LeftOut(place, "missing", f"{optical}: holds no acquisition."))
        return
    frame = finest(s2[0][1])
    pairs = pair_dates(
        [a.acquired for _, a in s1 if a.acquired], [a.acquired for _, a in s2 if a.acquired], max_days=max_days
    )
    for i, j in pairs:
        when = s2[j][1].acquired
        name = f"{place}_{when:%Y%m%d}" if when else place
        items.append(PairItem(name, place, s1[i][1], s2[j][1], frame))
    for side, partners in ((s1, {i for i, _ in pairs}), (s2, {j for _, j in pairs})):
        for k, (folder, _) in enumerate(side):
            if k not in partners:
                why = f"{folder}: no image of the other sensor within {max_days:g} days."
                left_out.append(LeftOut(f"{place}/{folder.name}", "dates", why, False))


def _acquisition(folder: Path, sensor: str, level: str) -> Acquisition:
    if sensor == "s1":
        return Acquisition("s1", folder, _RADAR, moment_in(folder.name), unit=Unit.DB)
    return Acquisition("s2", folder, _OPTICAL[level], moment_in(folder.name), offset=0)


def _folder(path: Path, names: tuple[str, ...]) -> Path | None:
    return next((path / name for name in names if (path / name).is_dir()), None)
