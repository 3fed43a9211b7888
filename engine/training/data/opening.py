"""What a training run learns from: packs and data sets by name, as one set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import ParameterError
from engine.events import Reporter
from engine.training.data.dataset import Cutting, PairDataset, join, read_dataset
from engine.training.data.pack import PackedDataset, is_pack
from engine.training.data.places import find_items


def open_data(
    places: Sequence[str],
    *,
    cutting: Cutting,
    need: str = "any",
    max_broken: float = 0.1,
    max_bytes: int = 8 << 30,
    reporter: Reporter | None = None,
) -> PairDataset:
    """The samples of all ``places``: a pack is memory-mapped, ``KIND:PATH[@SPLIT]`` is read into memory.

    ``need``: "pairs" (samples with both sensors), "labels" or "any". Raises what finding and reading raise;
    ParameterError when packs and data differ in size or bands, or a pack lacks what is needed.
    """
    if not places:
        raise ParameterError("No training data is given.", remedy="Give --data KIND:PATH or --data PACK.")
    reporter = reporter or Reporter()
    sets: list[PairDataset] = []
    for number, place in enumerate(places):
        part = reporter.part(number / len(places), (number + 1) / len(places))
        if is_pack(Path(place).expanduser()):
            pack = PackedDataset(place)
            lacking = {"pairs": not {"s1", "s2"} <= set(pack.bands), "labels": not pack.labelled}.get(need, False)
            if lacking:
                raise ParameterError(f"{place}: the pack holds no {need}.", remedy="Give another data set.")
            sets.append(pack)
        else:
            found = find_items(place, max_days=cutting.rules.max_days or 30.0)
            sets.append(
                read_dataset(
                    found, cutting=cutting, need=need, max_broken=max_broken, max_bytes=max_bytes, reporter=part
                )
            )
    return sets[0] if len(sets) == 1 else join(sets)
