"""Items of training data: which files show one place, and when. Values only; nothing is opened here."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal

from engine.optics.products import LEVEL_2A
from engine.sensors import Unit

S1_BANDS = ("VV", "VH")
S2_BANDS = LEVEL_2A
"""The bands that Level-1C and Level-2A have in common, in standard order."""

IGNORE = -1
"""The label that is not learned from."""

Labels = Literal["flood", "landcover"]
"""What labels tell, where a data set has both."""

OWN_LEGEND = "own"
"""The legend of land-cover labels whose codes are those of the legend that is trained for, whichever that is."""


@dataclass(frozen=True, slots=True)
class BandFile:
    """A raster file. ``bands`` are the standard names of its bands in order; empty where the file names them itself."""

    path: Path
    bands: tuple[str, ...] = ()


Layout = tuple[tuple[str, tuple[str, ...]], ...]
ONE_FILE: Layout = (("", ()),)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One image of one sensor, in one file or in a folder with one file a band.

    ``sensor``: "s1" or "s2". ``where``: the file or folder. ``layout``: (file name, band names) of each file in the
    folder, ``{name}`` standing for the folder's name; one entry with an empty name for a single file. (A shared value:
    a data set has millions of files.) ``acquired``: UTC, None where neither name nor list tells. ``unit``: what the
    layout says the Sentinel-1 values are (they are tested against it); None: found from the values. ``offset``: digital
    numbers to take off Sentinel-2 values before × 1e-4; None: found from the values.
    """

    sensor: str
    where: Path
    layout: Layout = ONE_FILE
    acquired: datetime | None = None
    unit: Unit | None = None
    offset: int | None = None

    @property
    def files(self) -> tuple[BandFile, ...]:
        """The files, with the bands that they hold."""
        name = self.where.name
        return tuple(
            BandFile(self.where / file.replace("{name}", name) if file else self.where, bands)
            for file, bands in self.layout
        )

    @property
    def path(self) -> Path:
        """The file or folder: what messages name."""
        return self.where


@dataclass(frozen=True)
class LabelFile:
    """A label raster: class codes in ``band``; ``ignore`` are codes without a label. ``classes``: code → name.

    ``legend``: what the codes mean: the name of a land-cover legend, :data:`OWN_LEGEND`, or None for water (1) and dry
    ground (0).
    """

    path: Path
    band: int = 1
    ignore: tuple[int, ...] = (IGNORE,)
    classes: dict[int, str] = field(default_factory=dict, compare=False)
    legend: str | None = None


@dataclass(frozen=True, slots=True)
class PairItem:
    """Sentinel-1 and Sentinel-2 of one place. :func:`engine.training.data.reading.read_item` reads it.

    ``group``: the place, event or scene: what must not stand on both sides of a split. ``frame``: a raster whose grid
    all dates of the place are read on (None: the item's own finest). ``classes``: names of what is in the scene, where
    the layout tells. Either sensor may be None in a labelled item, never both.
    """

    name: str
    group: str
    s1: Acquisition | None
    s2: Acquisition | None
    frame: Path | None = None
    classes: tuple[str, ...] = ()

    @property
    def days_between(self) -> float | None:
        """|Δt| of the two sensors in days; None where a date is not known."""
        moments = [a.acquired for a in (self.s1, self.s2) if a is not None and a.acquired is not None]
        return days_apart(*moments) if len(moments) == 2 else None


@dataclass(frozen=True)
class LabelItem(PairItem):
    """An item with a label raster; grids of the sensors are brought onto the label's."""

    label: LabelFile = field(kw_only=True)


@dataclass(frozen=True)
class LeftOut:
    """Something that was found or named and is not used: ``reason`` is a word, ``why`` a line that names the file.

    ``broken``: a defect of the data (missing, unreadable, mismatched, empty, units), not a choice (cloudy, dates).
    """

    name: str
    reason: str
    why: str
    broken: bool = True


@dataclass(frozen=True)
class ItemSet:
    """What one ``KIND:PATH[@SPLIT]`` holds: items by name, and what was left out while looking."""

    place: str
    kind: str
    items: tuple[PairItem, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def pairs(self) -> tuple[PairItem, ...]:
        """The items with both sensors."""
        return tuple(item for item in self.items if item.s1 is not None and item.s2 is not None)

    @property
    def labelled(self) -> tuple[LabelItem, ...]:
        """The items with a label raster."""
        return tuple(item for item in self.items if isinstance(item, LabelItem))


def days_apart(a: datetime, b: datetime) -> float:
    """|a − b| in days."""
    return abs((a - b).total_seconds()) / 86400.0


def moment_in(text: str) -> datetime | None:
    """The first ISO or compact date (and time) in ``text`` as UTC: ``2020-06-04T05:46:39``, ``20200604T054639``."""
    match = re.search(
        r"(?<!\d)(20\d\d|19\d\d)-?(0[1-9]|1[0-2])-?([0-3]\d)(?:[T ]([0-2]\d):?([0-5]\d):?([0-5]\d)|(?!\d))", text
    )
    if match is None:
        return None
    try:
        return datetime(*(int(part or 0) for part in match.groups()), tzinfo=timezone.utc)  # type: ignore[arg-type, misc]
    except ValueError:
        return None


def place_of(name: str) -> str:
    """The group that a name of the usual form PLACE_NUMBER or PLACE_YYYYMMDD stands for; else the name itself."""
    return re.sub(r"_\d+$", "", name) or name


def pair_dates(first: list[datetime], second: list[datetime], *, max_days: float) -> list[tuple[int, int]]:
    """Index pairs of dates not more than ``max_days`` apart, no date used twice, the nearest pairs first taken.

    Ties go to the earlier dates. The answer is in the order of ``first``.
    """
    near = sorted(
        (days_apart(a, b), a, b, i, j)
        for i, a in enumerate(first)
        for j, b in enumerate(second)
        if days_apart(a, b) <= max_days
    )
    taken: dict[int, int] = {}
    used: set[int] = set()
    for _, _, _, i, j in near:
        if i not in taken and j not in used:
            taken[i] = j
            used.add(j)
    return sorted(taken.items())
