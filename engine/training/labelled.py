"""Labelled data for fine-tuning: squares of one sensor or two, split by event or place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.errors import ParameterError
from engine.events import Reporter
from engine.models.card import BandInput
from engine.training.data.dataset import Cutting, PairDataset, join, read_dataset
from engine.training.data.items import S1_BANDS, S2_BANDS, LabelItem
from engine.training.data.pack import PackedDataset, is_pack
from engine.training.data.places import find_items
from engine.training.data.reading import Rules
from engine.training.data.statistics import BandStatistics
from engine.training.fractions import held_out, nested_fraction
from engine.training.tasks.flood import FloodTask
from engine.training.tasks.task import Task

SENSOR_SETS: dict[str, tuple[str, ...]] = {"s1": ("s1",), "s2": ("s2",), "both": ("s1", "s2")}
"""``--sensors`` to the sensors that are read, in the order of a card's bands."""

VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Split:
    """``train`` and ``check`` (validation) with the samples of each that are used, as indexes."""

    train: PairDataset
    train_indices: list[int]
    check: PairDataset
    check_indices: list[int]


def choose_bands(
    sensors: Sequence[str],
    places: Sequence[str],
    *,
    known: Mapping[str, BandStatistics],
    optical: tuple[str, ...] | None,
    default: tuple[str, ...],
) -> dict[str, tuple[str, ...]]:
    """Bands by sensor: those of the encoder (``known``), else ``optical`` where given, else those of the first pack,
    else all of Sentinel-1 and ``default`` of Sentinel-2. Raises ParameterError where encoder and ``optical`` differ."""
    packs = [PackedDataset(place) for place in places if is_pack(Path(place).expanduser())]
    chosen: dict[str, tuple[str, ...]] = {}
    for sensor in sensors:
        asked = optical if sensor == "s2" else None
        if sensor in known:
            names = known[sensor].names
            if asked is not None and asked != names:
                raise ParameterError(
                    f"--s2-bands {','.join(asked)} differs from the bands of the encoder, {','.join(names)}.",
                    remedy="Leave the option out, or start from an encoder with these bands.",
                )
            chosen[sensor] = names
        elif asked is not None:
            chosen[sensor] = asked
        else:
            packed = next((pack.bands[sensor] for pack in packs if sensor in pack.bands), None)
            chosen[sensor] = packed or (S1_BANDS if sensor == "s1" else default)
    return chosen


def open_labelled(
    places: Sequence[str],
    bands: Mapping[str, tuple[str, ...]],
    *,
    side: int,
    broken: float,
    reporter: Reporter,
    task: Task | None = None,
) -> PairDataset:
    """The labelled items of ``places`` that have any of the sensors of ``bands``, with those sensors alone, and with
    labels as ``task`` (None: floods) has them.

    Raises InputError and its kinds; ParameterError where a sensor is in none of the places, or a pack has other bands.
    """
    rules = Rules(max_days=None, max_cloud=None, max_missing=0.9)
    cutting = Cutting(side=side, rules=rules, s1_bands=bands.get("s1", S1_BANDS), s2_bands=bands.get("s2", S2_BANDS))
    sets: list[PairDataset] = []
    wanted = task or FloodTask()
    for number, place in enumerate(places):
        part = reporter.part(number / len(places), (number + 1) / len(places))
        if is_pack(Path(place).expanduser()):
            sets.append(wanted.prepared(_from_pack(place, bands), place))
            continue
        found = find_items(place, labels=wanted.labels)
        items = tuple(_with_these(item, bands) for item in found.labelled if _has_any(item, bands))
        if not items:
            raise ParameterError(
                f"{place}: no item has {' or '.join(bands)} and a label.", remedy="See 'engine data check'."
            )
        part_set = replace(found, items=items)
        read = read_dataset(part_set, cutting=cutting, need="labels", max_broken=broken, reporter=part)
        sets.append(wanted.prepared(read, place))
    data = sets[0] if len(sets) == 1 else join(sets)
    absent = [sensor for sensor in bands if sensor not in data.bands]
    if absent:
        raise ParameterError(
            f"{', '.join(places)}: no labelled item has {absent[0]}.",
            remedy=f"Give data with both sensors, or --sensors {next(iter(data.bands))}.",
        )
    return data


def _from_pack(place: str, bands: Mapping[str, tuple[str, ...]]) -> PairDataset:
    pack = PackedDataset(place)
    here = [sensor for sensor in bands if sensor in pack.bands]
    if not pack.labelled or not here:
        raise ParameterError(f"{place}: the pack holds no labels for {' or '.join(bands)}.", remedy="Give other data.")
    for sensor in here:
        if pack.bands[sensor] != bands[sensor]:
            raise ParameterError(
                f"{place}: the pack holds the bands {','.join(pack.bands[sensor])} of {sensor}; expected "
                f"{','.join(bands[sensor])}.",
                remedy="Pack the data with these bands ('engine data pack --s2-bands').",
            )
    return pack.with_sensors(here)


def _has_any(item: LabelItem, bands: Mapping[str, tuple[str, ...]]) -> bool:
    return any(getattr(item, sensor) is not None for sensor in bands)


def _with_these(item: LabelItem, bands: Mapping[str, tuple[str, ...]]) -> LabelItem:
    """The item without the sensors that are not used, so that their files are not read."""
    return replace(item, s1=item.s1 if "s1" in bands else None, s2=item.s2 if "s2" in bands else None)


def ground_sampling(data: PairDataset, indices: Sequence[int], *, given: float | None) -> tuple[float, float]:
    """The finest and coarsest pixel sizes in metres of the samples ``indices``: what their georeference tells, and
    ``given`` for those without. Raises ParameterError where neither does."""
    told = [data.samples[i].gsd_m for i in indices]
    found = [gsd for gsd in told if gsd is not None] + ([given] if given is not None and None in told else [])
    if None in told and given is None:
        name = next(data.samples[i].name for i in indices if data.samples[i].gsd_m is None)
        raise ParameterError(
            f"{name}: the pixel size is not known, since the data has no georeference.",
            remedy="Give it by --gsd in metres (a pack of an older version: pack the data again).",
        )
    return min(found), max(found)


def split(data: PairDataset, check: PairDataset | None, *, labels: float, seed: int) -> Split:
    """By event: without ``check`` a fifth of the samples is held out; then the share ``labels`` of the rest is used.

    Samples without a label, or without any of the data's sensors (a pack may have such), are passed over.
    """
    usable, every = _usable(data), data.groups
    groups = [every[i] for i in usable]
    if check is None:
        rest, held = held_out(groups, VALIDATION_SHARE, seed=seed)
        check_set, check_indices = data, [usable[i] for i in held]
    else:
        rest, check_set, check_indices = list(range(len(usable))), check, _usable(check)
    chosen = nested_fraction([groups[i] for i in rest], labels, seed=seed)
    return Split(data, [usable[rest[i]] for i in chosen], check_set, check_indices)


def _usable(data: PairDataset) -> list[int]:
    has = {"s1": "has_s1", "s2": "has_s2"}
    return [
        i
        for i, sample in enumerate(data.samples)
        if sample.labelled and any(getattr(sample, has[sensor]) for sensor in data.bands)
    ]


def statistics_of(bands: Sequence[BandInput]) -> BandStatistics:
    """The normalisation that a card states."""
    return BandStatistics(
        tuple(b.name for b in bands),
        tuple(b.mean for b in bands),
        tuple(b.std for b in bands),
        tuple(0 for _ in bands),
    )
