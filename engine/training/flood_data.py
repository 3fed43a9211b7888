"""Labelled data for a flood model: squares of one sensor, split by event."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import ParameterError
from engine.events import Reporter
from engine.models.card import BandInput
from engine.training.data.dataset import Cutting, PairDataset, join, read_dataset
from engine.training.data.items import LabelItem
from engine.training.data.pack import PackedDataset, is_pack
from engine.training.data.places import find_items
from engine.training.data.reading import Rules
from engine.training.data.statistics import BandStatistics
from engine.training.fractions import held_out, nested_fraction

VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """``train`` and ``check`` (validation) with the samples of each that are used, as indexes."""

    train: PairDataset
    train_indices: list[int]
    check: PairDataset
    check_indices: list[int]


def open_labelled(
    places: Sequence[str], sensor: str, bands: tuple[str, ...], *, side: int, broken: float, reporter: Reporter
) -> PairDataset:
    """The labelled items of ``places`` that have ``sensor``, that sensor alone; raises InputError and its kinds."""
    rules = Rules(max_days=None, max_cloud=None, max_missing=0.9)
    cutting = (
        Cutting(side=side, rules=rules, s1_bands=bands)
        if sensor == "s1"
        else Cutting(side=side, rules=rules, s2_bands=bands)
    )
    sets: list[PairDataset] = []
    for number, place in enumerate(places):
        part = reporter.part(number / len(places), (number + 1) / len(places))
        if is_pack(Path(place).expanduser()):
            pack = PackedDataset(place)
            if not pack.labelled or sensor not in pack.bands:
                raise ParameterError(f"{place}: the pack holds no labels for {sensor}.", remedy="Give other data.")
            sets.append(pack)
            continue
        found = find_items(place)
        items = tuple(_alone(item, sensor) for item in found.labelled if getattr(item, sensor) is not None)
        if not items:
            raise ParameterError(f"{place}: no item has {sensor} and a label.", remedy="See 'engine data check'.")
        part_set = replace(found, items=items)
        sets.append(read_dataset(part_set, cutting=cutting, need="labels", max_broken=broken, reporter=part))
    return sets[0] if len(sets) == 1 else join(sets)


def _alone(item: LabelItem, sensor: str) -> LabelItem:
    """The item without the other sensor, so that its files are not read."""
    return replace(item, s2=None) if sensor == "s1" else replace(item, s1=None)


def split(data: PairDataset, check: PairDataset | None, *, labels: float, seed: int) -> Split:
    """By event: without ``check`` a fifth of the samples is held out; then the share ``labels`` of the rest is used."""
    if check is None:
        rest, held = held_out(data.groups, VALIDATION_SHARE, seed=seed)
        check_set, check_indices = data, held
    else:
        rest, check_set, check_indices = list(range(len(data))), check, list(range(len(check)))
    chosen = nested_fraction([data.groups[i] for i in rest], labels, seed=seed)
    return Split(data, [rest[i] for i in chosen], check_set, check_indices)


def statistics_of(bands: Sequence[BandInput]) -> BandStatistics:
    """The normalisation that a card states."""
    return BandStatistics(
        tuple(b.name for b in bands),
        tuple(b.mean for b in bands),
        tuple(b.std for b in bands),
        tuple(0 for _ in bands),
    )
