"""The data of a study as packs in its folder, so that cells read squares and no rasters."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import ParameterError
from engine.events import Reporter
from engine.training.data.dataset import Cutting
from engine.training.data.items import S1_BANDS, S2_BANDS, ItemSet, LabelItem
from engine.training.data.pack import is_pack, write_pack
from engine.training.data.places import find_items
from engine.training.data.reading import Rules
from engine.training.labelled import open_labelled
from engine.training.tasks.task import Task

PACKS = "packs"
_TEST_SIDE = 256
"""Smallest side of the squares that models are scored on: at their edges a network sees less around a pixel."""


@dataclass(frozen=True)
class Place:
    """A place that was given: a pack, or items that are to be packed."""

    text: str
    items: ItemSet | None

    @property
    def labels(self) -> set[Path]:
        """The label files, where they are known."""
        return {item.label.path.resolve() for item in self.items.labelled} if self.items is not None else set()


def find_places(
    texts: Sequence[str], bands: Mapping[str, tuple[str, ...]], *, every_sensor: bool, task: Task
) -> list[Place]:
    """What the texts name, with the items labelled for ``task`` that have any of the sensors of ``bands``
    (``every_sensor``: all of them), and those sensors alone.

    Raises ParameterError where there is none, and what finding items raises.
    """
    between = " and " if every_sensor else " or "
    places = []
    for text in texts:
        if is_pack(Path(text).expanduser()):
            # raises where it does not fit
            open_labelled([text], bands, side=0, broken=1.0, reporter=Reporter(), task=task)
            places.append(Place(str(Path(text).expanduser().absolute()), None))
            continue
        found = find_items(text, labels=task.labels)
        items = tuple(_alone(item, bands) for item in found.labelled if _has(item, bands, every=every_sensor))
        if not items:
            raise ParameterError(
                f"{text}: no item has {between.join(bands)} and a label.", remedy="See 'engine data check'."
            )
        places.append(Place(text, replace(found, items=items)))
    return places


def refuse_shared(training: Sequence[Place], test: Sequence[Place], *, what: str) -> None:
    """Raise ParameterError when a label file is in both: scores would be of what was learned by heart."""
    known = {path for place in training for path in place.labels}
    packs = {place.text for place in training if place.items is None}
    for place in test:
        shared = sorted(place.labels & known)
        if shared or place.text in packs:
            raise ParameterError(
                f"{shared[0] if shared else place.text}: is in the {what} and in the test data.",
                remedy="Give test data that nothing is learned from, such as another split.",
            )


def pack_training(
    places: Sequence[Place],
    folder: Path,
    *,
    bands: Mapping[str, tuple[str, ...]],
    side: int,
    broken: float,
    workers: int,
    reporter: Reporter,
) -> list[str]:
    """Packs for ``--data`` or ``--validation`` of the cells: what fine-tuning would read, read once."""
    cutting = _cutting(bands, side, max_missing=0.9, every_pixel=False)
    return _pack(places, folder, cutting, broken=broken, workers=workers, reporter=reporter)


def pack_test(
    places: Sequence[Place],
    folder: Path,
    *,
    bands: Mapping[str, tuple[str, ...]],
    side: int,
    broken: float,
    workers: int,
    reporter: Reporter,
) -> list[str]:
    """Packs that models are scored on, in squares of at least 256 pixels: every labelled pixel once."""
    cutting = _cutting(bands, max(side, _TEST_SIDE), max_missing=1.0, every_pixel=True)
    return _pack(places, folder, cutting, broken=broken, workers=workers, reporter=reporter)


def _cutting(bands: Mapping[str, tuple[str, ...]], side: int, *, max_missing: float, every_pixel: bool) -> Cutting:
    return Cutting(
        side=side,
        rules=Rules(max_days=None, max_cloud=None, max_missing=max_missing),
        s1_bands=bands.get("s1", S1_BANDS),
        s2_bands=bands.get("s2", S2_BANDS),
        every_pixel=every_pixel,
    )


def _pack(
    places: Sequence[Place], folder: Path, cutting: Cutting, *, broken: float, workers: int, reporter: Reporter
) -> list[str]:
    made = []
    for number, place in enumerate(places):
        if place.items is None:
            made.append(place.text)
            continue
        path = folder / f"{number + 1}-{_short(place.text)}"
        if not is_pack(path):
            part = reporter.part(number / len(places), (number + 1) / len(places))
            write_pack(
                [place.items], path, cutting=cutting, need="labels", max_broken=broken, workers=workers, reporter=part
            )
        made.append(str(path.absolute()))
    return made


def _short(text: str) -> str:
    kind, _, path = text.partition(":") if ":" in text else ("folder", "", text)
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{kind}-{Path(path).name}").strip("-.")[:80]


def _has(item: LabelItem, sensors: Iterable[str], *, every: bool) -> bool:
    there = [getattr(item, sensor) is not None for sensor in sensors]
    return all(there) if every else any(there)


def _alone(item: LabelItem, sensors: Container[str]) -> LabelItem:
    """The item without the other sensors, so that their files are not read."""
    return replace(item, s1=item.s1 if "s1" in sensors else None, s2=item.s2 if "s2" in sensors else None)
