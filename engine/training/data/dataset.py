"""Batches drawn at random from coded crops, in memory or memory-mapped."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.errors import BandError, InputError, ParameterError
from engine.events import Reporter
from engine.training.data.crops import NODATA, SCALES, Codes, Crop, Sample, cut, decode
from engine.training.data.items import IGNORE, S1_BANDS, S2_BANDS, ItemSet, LeftOut, PairItem
from engine.training.data.labels import classes_of, legend_of, told
from engine.training.data.memory import room
from engine.training.data.reading import Rules, load_item, refuse_above
from engine.training.data.statistics import SMALLEST_STD, BandStatistics, RunningStatistics, merged

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Windows:
    """Windows of ``size`` pixels a side to be read of the squares of a batch, each from its row and column on."""

    size: int
    corners: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Shard:
    """Crops beside each other: ``s1``, ``s2`` (n, bands, side, side) and ``label`` (n, side, side) int16, or None."""

    s1: Codes | None
    s2: Codes | None
    label: Codes | None
    table: Codes | None = None
    """What the label's codes −1, 0, 1 … 255 become; None: they stay."""

    def labels(self, found: Codes) -> Codes:
        """Labels as they are learned from, of codes as they are kept."""
        return found if self.table is None else self.table[np.clip(found, -1, 255).astype(np.intp) + 1]

    def array(self, key: str) -> Codes | None:
        """The array of that name."""
        found: Codes | None = getattr(self, key)
        return found


class PairDataset:
    """Samples of one or both sensors, with or without labels, all squares of one size.

    ``samples`` tells of each what it shows; ``statistics`` by sensor normalise batches (replace them with
    :meth:`normalised_by` to use a model's own). ``bands`` by sensor holds the names in order; a sensor that no sample
    has is absent from it, and from batches. ``left_out``: what is not in the set, and why. ``legend``: what the labels'
    codes mean, as :class:`engine.training.data.items.LabelFile` has it.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        shards: Sequence[Shard],
        *,
        bands: Mapping[str, tuple[str, ...]],
        statistics: Mapping[str, BandStatistics],
        side: int,
        classes: Mapping[int, str] | None = None,
        left_out: Sequence[LeftOut] = (),
        legend: str | None = None,
    ) -> None:
        self.samples = tuple(samples)
        self.shards = tuple(shards)
        self.bands = dict(bands)
        self.statistics = dict(statistics)
        self.side = side
        self.classes = dict(classes or {})
        self.left_out = tuple(left_out)
        self.legend = legend
        counts = [next(len(a) for k in ("s1", "s2") if (a := s.array(k)) is not None) for s in self.shards]
        if sum(counts) != len(self.samples):
            raise ValueError(f"{sum(counts)} crops for {len(self.samples)} samples.")
        self._starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.labelled = any(s.labelled for s in self.samples)

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def groups(self) -> list[str]:
        """The group (place, event, scene) of each sample."""
        return [sample.group for sample in self.samples]

    def indices_of(self, groups: Sequence[str]) -> list[int]:
        """The samples of these groups, in order."""
        wanted = set(groups)
        return [i for i, sample in enumerate(self.samples) if sample.group in wanted]

    def normalised_by(self, statistics: Mapping[str, BandStatistics]) -> PairDataset:
        """The same data, normalised by other statistics; raises BandError when the bands differ."""
        for sensor, names in self.bands.items():
            if sensor not in statistics or statistics[sensor].names != names:
                found = statistics[sensor].names if sensor in statistics else ()
                raise BandError(
                    f"The statistics of {sensor} are for {', '.join(found) or 'no band'}; the data has "
                    f"{', '.join(names)}.",
                    remedy="Pack the data with the bands of the model.",
                )
        return self._with(statistics={s: statistics[s] for s in self.bands})

    def with_sensors(self, sensors: Sequence[str]) -> PairDataset:
        """The same data with these of its sensors alone."""
        return self._with(
            bands={s: self.bands[s] for s in sensors}, statistics={s: self.statistics[s] for s in sensors}
        )

    def relabelled(
        self, mapping: Mapping[int, int], *, legend: str | None, classes: Mapping[int, str] | None = None
    ) -> PairDataset:
        """The same data with labels (0…255) as ``mapping`` has them; codes that it does not name are no label.
        ``legend`` and ``classes`` describe what comes out. Raises ValueError for a code that is none."""
        table = np.full(257, IGNORE, np.int16)
        for code, value in mapping.items():
            if not 0 <= code <= 255 or not IGNORE <= value <= 255:
                raise ValueError(f"Labels are 0 to 255; found {code} and {value}.")
            table[code + 1] = value
        shards = [
            replace(s, table=table if s.table is None else table[s.table.astype(np.intp) + 1]) for s in self.shards
        ]
        return self._with(shards=shards, legend=legend, classes=dict(classes or {}))

    def _with(self, **changes: Any) -> PairDataset:
        own = {"bands", "statistics", "side", "classes", "left_out", "legend"}
        given = {name: getattr(self, name) for name in own} | {n: v for n, v in changes.items() if n in own}
        return PairDataset(self.samples, changes.get("shards", self.shards), **given)

    def codes(self, key: str, indices: Sequence[int] | NDArray[np.int64], *, windows: Windows | None = None) -> Codes:
        """The coded crops of ``key`` (s1, s2, label) in the order of ``indices``; NODATA or −1 where a sample has
        none. Raises IndexError for an index that is not there."""
        wanted = self._checked(indices)
        side = self.side if windows is None else windows.size
        bands = () if key == "label" else (len(self.bands[key]),)
        out = np.empty((wanted.size, *bands, side, side), np.int16)
        for place, found in enumerate(self._each(key, wanted, windows)):
            out[place] = (IGNORE if key == "label" else NODATA) if found is None else found
        return out

    def _checked(self, indices: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
        wanted = np.asarray(indices, np.int64)
        if wanted.size and (wanted.min() < 0 or wanted.max() >= len(self)):
            raise IndexError(f"The indices reach from {wanted.min()} to {wanted.max()}; there are {len(self)} samples.")
        return wanted

    def _each(self, key: str, wanted: NDArray[np.int64], windows: Windows | None) -> Iterator[Codes | None]:
        """Views of the crops, nothing read yet; None where a shard has none of that name."""
        homes = np.searchsorted(self._starts, wanted, side="right") - 1
        rows = wanted - self._starts[homes]
        for place, (home, row) in enumerate(zip(homes.tolist(), rows.tolist(), strict=True)):
            array = self.shards[home].array(key)
            if array is None:
                yield None
                continue
            found: Codes = array[row]
            if windows is not None:
                (top, left), size = windows.corners[place], windows.size
                found = found[..., top : top + size, left : left + size]
            yield self.shards[home].labels(found) if key == "label" else found

    def batch(
        self,
        indices: Sequence[int] | NDArray[np.int64] | Tensor,
        *,
        s2_indices: Sequence[int] | NDArray[np.int64] | Tensor | None = None,
        sensors: Sequence[str] | None = None,
        windows: Windows | None = None,
    ) -> Batch:
        """``s1``, ``s2`` (N, bands, side, side) float32 normalised, 0 where invalid; ``s1_valid``, ``s2_valid``
        (N, 1, side, side) bool; ``label`` (N, side, side) int64, −1 where there is none; ``index`` (N,).

        A sensor is there if any sample of the set has it, ``label`` if any has labels. ``s2_indices`` takes Sentinel-2
        from other samples (another date of the same spot: :class:`engine.training.data.sampling.TimePartners`).
        ``sensors``: read only these (default: all there are). ``windows``: read only these parts of the squares.
        """
        own = _array(indices)
        made: Batch = {"index": torch.from_numpy(own.copy())}
        for sensor in self.bands if sensors is None else sensors:
            rows = _array(s2_indices) if sensor == "s2" and s2_indices is not None else own
            made[sensor], made[f"{sensor}_valid"] = self._normalised(sensor, rows, windows)
        if self.labelled:
            made["label"] = torch.from_numpy(self.codes("label", own, windows=windows)).long()
        return made

    def _normalised(self, sensor: str, rows: NDArray[np.int64], windows: Windows | None) -> tuple[Tensor, Tensor]:
        """Sample by sample, in numpy: what is read stays in the processor's cache, and no other threads are woken."""
        statistics = self.statistics[sensor]
        std = np.maximum(np.asarray(statistics.std, np.float64), SMALLEST_STD)
        gain = (SCALES[sensor] / std).astype(np.float32)[:, None, None]
        shift = (-np.asarray(statistics.mean, np.float64) / std).astype(np.float32)[:, None, None]
        side = self.side if windows is None else windows.size
        values = room((len(rows), len(statistics.names), side, side), torch.float32)
        valid = room((len(rows), 1, side, side), torch.bool)
        smallest = np.empty((side, side), np.int16)
        crops = self._each(sensor, self._checked(rows), windows)
        for here, seen, codes in zip(values.numpy(), valid.numpy(), crops, strict=True):
            if codes is None:
                here[...], seen[...] = 0, False
                continue
            np.copyto(here, codes)
            np.min(codes, axis=0, out=smallest)
            np.not_equal(smallest, NODATA, out=seen[0])  # NODATA is the smallest of all
            here *= gain
            here += shift
            if not seen.all():
                here *= seen
        return values, valid

    def label_counts(self, indices: Sequence[int] | None = None) -> dict[int, int]:
        """Pixels of each class code, without those that have no label."""
        counts: dict[int, int] = {}
        if not self.labelled:
            return counts
        wanted = np.arange(len(self)) if indices is None else np.asarray(indices, np.int64)
        for start in range(0, wanted.size, 64):
            found, pixels = np.unique(self.codes("label", wanted[start : start + 64]), return_counts=True)
            for code, number in zip(found, pixels, strict=True):
                if code != IGNORE:
                    counts[int(code)] = counts.get(int(code), 0) + int(number)
        return dict(sorted(counts.items()))


def _array(indices: Sequence[int] | NDArray[np.int64] | Tensor) -> NDArray[np.int64]:
    if isinstance(indices, Tensor):
        return indices.detach().cpu().numpy().astype(np.int64)
    return np.asarray(indices, np.int64)


def join(datasets: Sequence[PairDataset]) -> PairDataset:
    """The samples of all sets after one another, statistics merged; ParameterError when sizes or bands differ."""
    if not datasets:
        raise ValueError("There is no set to join.")
    first = datasets[0]
    for other in datasets[1:]:
        if other.side != first.side:
            raise ParameterError(
                f"The training sets have squares of {first.side} and {other.side} pixels.",
                remedy="Pack them with the same --crop.",
            )
        if first.labelled and other.labelled and other.legend != first.legend:
            raise ParameterError(
                f"The training sets have labels of different kinds: {told(first.legend)} and {told(other.legend)}.",
                remedy="Give data whose labels mean the same.",
            )
        for sensor in first.bands.keys() & other.bands.keys():
            if first.bands[sensor] != other.bands[sensor]:
                raise ParameterError(
                    f"The training sets have different bands of {sensor}: {', '.join(first.bands[sensor])} and "
                    f"{', '.join(other.bands[sensor])}.",
                    remedy="Pack them with the same bands.",
                )
    sensors = [s for s in SCALES if any(s in d.bands for d in datasets)]
    return PairDataset(
        [
            replace(sample, spot=f"{number}:{sample.spot}") if len(datasets) > 1 else sample
            for number, d in enumerate(datasets)
            for sample in d.samples
        ],
        [shard for d in datasets for shard in d.shards],
        bands={s: next(d.bands[s] for d in datasets if s in d.bands) for s in sensors},
        statistics={s: merged([d.statistics[s] for d in datasets if s in d.bands]) for s in sensors},
        side=first.side,
        classes={code: name for d in datasets for code, name in d.classes.items()},
        left_out=[one for d in datasets for one in d.left_out],
        legend=next((d.legend for d in datasets if d.labelled), None),
    )


@dataclass(frozen=True, kw_only=True)
class Cutting:
    """What is cut from items: squares of ``side`` pixels with these bands, items and squares left out by ``rules``.
    ``every_pixel``: each labelled pixel in one square and no other, for scoring."""

    side: int = 256
    rules: Rules = field(default_factory=Rules)
    s1_bands: tuple[str, ...] = S1_BANDS
    s2_bands: tuple[str, ...] = S2_BANDS
    every_pixel: bool = False

    def sensors(self, items: Sequence[PairItem]) -> dict[str, tuple[str, ...]]:
        """Bands by sensor, of those sensors that any item has."""
        found = {}
        if any(item.s1 is not None for item in items):
            found["s1"] = self.s1_bands
        if any(item.s2 is not None for item in items):
            found["s2"] = self.s2_bands
        return found

    def crops(self, item: PairItem) -> tuple[list[Crop], LeftOut | None]:
        """The crops of an item, or why there are none."""
        arrays = load_item(item, self.rules, s1_bands=self.s1_bands, s2_bands=self.s2_bands)
        if isinstance(arrays, LeftOut):
            return [], arrays
        most = max(0.5, self.rules.max_missing)
        crops, _ = cut(item, arrays, side=self.side, max_missing=most, every_pixel=self.every_pixel)
        if not crops:
            return [], LeftOut(item.name, "empty", f"{item.name}: no square of {self.side} pixels has enough values.")
        return crops, None


def stack(crops: Sequence[Crop], bands: Mapping[str, tuple[str, ...]], side: int, *, labelled: bool) -> Shard:
    """The crops as one shard; NODATA and −1 fill what a sample lacks."""
    arrays: dict[str, Codes | None] = {"s1": None, "s2": None, "label": None}
    for sensor, names in bands.items():
        out = np.full((len(crops), len(names), side, side), NODATA, np.int16)
        for i, crop in enumerate(crops):
            codes = crop.s1 if sensor == "s1" else crop.s2
            if codes is not None:
                out[i] = codes
        arrays[sensor] = out
    if labelled:
        truth = np.full((len(crops), side, side), IGNORE, np.int16)
        for i, crop in enumerate(crops):
            if crop.label is not None:
                truth[i] = crop.label
        arrays["label"] = truth
    return Shard(arrays["s1"], arrays["s2"], arrays["label"])


def gather_statistics(crops: Sequence[Crop], running: Mapping[str, RunningStatistics]) -> None:
    """Take the valid values of ``crops`` into the statistics of their sensors."""
    for crop in crops:
        for sensor, codes in (("s1", crop.s1), ("s2", crop.s2)):
            if codes is not None and sensor in running:
                running[sensor].add(decode(codes, sensor))


def choose_items(found: ItemSet, need: str) -> tuple[PairItem, ...]:
    """The items of ``found`` that serve: ``need`` is "pairs" (both sensors), "labels", or "any"."""
    items = {"pairs": found.pairs, "labels": found.labelled, "any": found.items}[need]
    if not items:
        what = {"pairs": "item with both sensors", "labels": "item with a label", "any": "item"}[need]
        why = f" {found.left_out[0].why}" if found.left_out else ""
        raise ParameterError(f"{found.place}: there is no {what}.{why}", remedy="Give another data set.")
    return items


def read_dataset(
    found: ItemSet,
    *,
    cutting: Cutting,
    need: str = "any",
    max_broken: float = 0.1,
    max_bytes: int = 8 << 30,
    reporter: Reporter | None = None,
) -> PairDataset:
    """The items of ``found`` read into memory.

    Raises InputError when more than ``max_broken`` of the items are broken, ParameterError when the crops would take
    more than ``max_bytes`` (pack them first), Cancelled.
    """
    items = choose_items(found, need)
    reporter = reporter or Reporter()
    bands = cutting.sensors(items)
    running = {sensor: RunningStatistics(names) for sensor, names in bands.items()}
    left_out = list(found.left_out)
    crops: list[Crop] = []
    size = 2 * cutting.side**2 * (1 + sum(len(names) for names in bands.values()))
    for i, item in enumerate(items):
        reporter.progress(i / len(items), "reading", item.name)
        made, why = cutting.crops(item)
        if why is not None:
            left_out.append(why)
        if (len(crops) + len(made)) * size > max_bytes:
            raise ParameterError(
                f"{found.place}: the data takes more than {max_bytes / (1 << 30):.0f} GiB of memory.",
                remedy="Pack it first: engine data pack KIND:PATH -o PACK, and train from PACK.",
            )
        gather_statistics(made, running)
        crops += made
    refuse_above(left_out, len(items) + sum(one.broken for one in found.left_out), max_broken, place=found.place)
    if not crops:
        raise InputError(f"{found.place}: nothing is left. {left_out[0].why}", remedy="See 'engine data check'.")
    return PairDataset(
        [crop.sample for crop in crops],
        [stack(crops, bands, cutting.side, labelled=any(c.label is not None for c in crops))],
        bands=bands,
        statistics={sensor: one.result() for sensor, one in running.items()},
        side=cutting.side,
        classes=classes_of(items),
        left_out=left_out,
        legend=legend_of(items),
    )


def read_rate(dataset: PairDataset, *, size: int = 64, seconds: float = 1.0, seed: int = 0) -> dict[str, float]:
    """Random batches of ``size`` read for about ``seconds``: samples and megabytes of codes per second.

    Measures what a training loop asks for (codes, normalising, masks); the files may lie in the system's cache.
    """
    generator = np.random.default_rng(seed)
    size = min(size, len(dataset))
    start, done, stop = time.perf_counter(), 0, 0.0
    while stop < seconds:
        dataset.batch(generator.choice(len(dataset), size, replace=False))
        done += size
        stop = time.perf_counter() - start
    planes = sum(len(names) for names in dataset.bands.values()) + dataset.labelled
    return {
        "samples_per_second": done / stop,
        "megabytes_per_second": done * planes * 2 * dataset.side**2 / stop / 1e6,
        "batch": float(size),
    }
