"""The unlabelled data of ``engine pretrain``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engine.errors import ParameterError
from engine.events import Reporter
from engine.training.data.dataset import Cutting, PairDataset
from engine.training.data.items import S2_BANDS
from engine.training.data.opening import open_data
from engine.training.data.pack import PackedDataset, is_pack
from engine.training.data.reading import Rules
from engine.training.objectives import CROSS_LOSSES
from engine.training.requests import PretrainRequest


def open_pretraining_data(request: PretrainRequest, reporter: Reporter) -> PairDataset:
    """The data of the request: pairs, so that all methods see the same; methods of one sensor also take data without
    any pair. Sentinel-2 has the bands of ``--s2-bands``, else those of the first pack, else all of Level-2A.

    Raises what finding and reading raise; ParameterError where a pack has other bands.
    """
    rules = Rules(max_days=request.max_days, max_cloud=None if request.max_cloud >= 1 else request.max_cloud)
    bands = _optical_bands(request.data, request.optical_bands)

    def opened(need: str) -> PairDataset:
        return open_data(
            request.data,
            cutting=Cutting(side=request.crop, rules=rules, s2_bands=bands),
            need=need,
            max_broken=request.broken,
            reporter=reporter,
        )

    try:
        return opened("pairs")
    except ParameterError:
        if request.method in CROSS_LOSSES:
            raise
    return opened("any")


def _optical_bands(places: Sequence[str], asked: tuple[str, ...] | None) -> tuple[str, ...]:
    """The Sentinel-2 bands to read: packs hold what they hold, so they must agree with what was asked for."""
    packs = {place: PackedDataset(place).bands.get("s2") for place in places if is_pack(Path(place).expanduser())}
    held = {place: names for place, names in packs.items() if names is not None}
    wanted = asked or next(iter(held.values()), S2_BANDS)
    for place, names in held.items():
        if names != wanted:
            raise ParameterError(
                f"{place}: the pack holds the bands {','.join(names)} of s2; expected {','.join(wanted)}.",
                remedy="Pack the data with these bands ('engine data pack --s2-bands').",
            )
    return wanted
