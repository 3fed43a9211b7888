"""Labelled data for a flood model: squares of one sensor or two, split by event."""

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

SENSOR_SETS: dict[str, tuple[str, ...]] = {"s1": ("s1",), "s2": ("s2",), "both": ("s1", "s2")}
"""``--sensors`` to the sensors that are read, in the order of a card's bands."""

WATER_BANDS = ("B02", "B03", "B04", "B08", "B11", "B12")
"""Sentinel-2 bands where nothing else is asked for: those of 10 m and the short-wave infrared, in which water is
darkest; Level-1C, Level-2A and harmonised products all have them."""

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
) -> dict[str, tuple[str, ...]]:
    """Bands by sensor: those of the encoder (``known``), else ``optical`` where given, else those of the first pack,
    else all of Sentinel-1 and :data:`WATER_BANDS`. Raises ParameterError where encoder and ``optical`` differ."""
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
            chosen[sensor] = packed or (S1_BANDS if sensor == "s1" else WATER_BANDS)
    return chosen


def open_labelled(
    places: Sequence[str], bands: Mapping[str, tuple[str, ...]], *, side: int, broken: float, reporter: Reporter
) -> PairDataset:
    """The labelled items of ``places`` that have any of the sensors of ``bands``, with those sensors alone.

    Raises InputError and its kinds; ParameterError where a sensor is in none of the places, or a pack has other bands.
    """
    rules = Rules(max_days=None, max_cloud=None, max_missing=0.9)
    cutting = Cutting(side=side, rules=rules, s1_bands=bands.get("s1", S1_BANDS), s2_bands=bands.get("s2", S2_BANDS))
    sets: list[PairDataset] = []
    for number, place in enumerate(places):
        part = reporter.part(number / len(places), (number + 1) / len(places))
        if is_pack(Path(place).expanduser()):
            sets.append(_from_pack(place, bands))
            continue
        found = find_items(place)
        items = tuple(_with_these(item, bands) for item in found.labelled if _has_any(item, bands))
        if not items:
            raise ParameterError(
                f"{place}: no item has {' or '.join(bands)} and a label.", remedy="See 'engine data check'."
            )
        part_set = replace(found, items=items)
        sets.append(read_dataset(part_set, cutting=cutting, need="labels", max_broken=broken, reporter=part))
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
    return PairDataset(
        pack.samples,
        pack.shards,
        bands={sensor: pack.bands[sensor] for sensor in here},
        statistics={sensor: pack.statistics[sensor] for sensor in here},
        side=pack.side,
        classes=pack.classes,
        left_out=pack.left_out,
    )


def _has_any(item: LabelItem, bands: Mapping[str, tuple[str, ...]]) -> bool:
    return any(getattr(item, sensor) is not None for sensor in bands)


def _with_these(item: LabelItem, bands: Mapping[str, tuple[str, ...]]) -> LabelItem:
    """The item without the sensors that are not used, so that their files are not read."""
    return replace(item, s1=item.s1 if "s1" in bands else None, s2=item.s2 if "s2" in bands else None)


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
