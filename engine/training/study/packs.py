"""The data of a study as packs in its folder, so that cells read squares and no rasters."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import ParameterError
from engine.events import Reporter
from engine.training.data.dataset import Cutting
from engine.training.data.items import S1_BANDS, S2_BANDS, ItemSet, LabelItem
from engine.training.data.pack import PackedDataset, is_pack, write_pack
from engine.training.data.places import find_items
from engine.training.data.reading import Rules

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


def find_places(texts: Sequence[str], sensors: Sequence[str]) -> list[Place]:
    """What the texts name, with the labelled items that have all ``sensors``, and those sensors alone.

    Raises ParameterError where there is none, and what finding items raises.
    """
    places = []
    for text in texts:
        if is_pack(Path(text).expanduser()):
            pack = PackedDataset(text)
            absent = next((sensor for sensor in sensors if sensor not in pack.bands), None)
            if not pack.labelled or absent is not None:
                raise ParameterError(
                    f"{text}: the pack holds no labels for {absent or sensors[0]}.", remedy="Give other data."
                )
            places.append(Place(str(Path(text).expanduser().absolute()), None))
            continue
        found = find_items(text)
        items = tuple(_alone(item, sensors) for item in found.labelled if _has(item, sensors))
        if not items:
            raise ParameterError(
                f"{text}: no item has {' and '.join(sensors)} and a label.", remedy="See 'engine data check'."
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
    bands: Mapping[str, tuple[str, ...] | None],
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
    bands: Mapping[str, tuple[str, ...] | None],
    side: int,
    broken: float,
    workers: int,
    reporter: Reporter,
) -> list[str]:
    """Packs that models are scored on, in squares of at least 256 pixels: every labelled pixel once."""
    cutting = _cutting(bands, max(side, _TEST_SIDE), max_missing=1.0, every_pixel=True)
    return _pack(places, folder, cutting, broken=broken, workers=workers, reporter=reporter)


def _cutting(
    bands: Mapping[str, tuple[str, ...] | None], side: int, *, max_missing: float, every_pixel: bool
) -> Cutting:
    return Cutting(
        side=side,
        rules=Rules(max_days=None, max_cloud=None, max_missing=max_missing),
        s1_bands=bands.get("s1") or S1_BANDS,
        s2_bands=bands.get("s2") or S2_BANDS,
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


def _has(item: LabelItem, sensors: Sequence[str]) -> bool:
    return all(getattr(item, sensor) is not None for sensor in sensors)


def _alone(item: LabelItem, sensors: Sequence[str]) -> LabelItem:
    """The item without the other sensors, so that their files are not read."""
    return replace(item, s1=item.s1 if "s1" in sensors else None, s2=item.s2 if "s2" in sensors else None)
