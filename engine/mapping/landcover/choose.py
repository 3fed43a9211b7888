"""Which model a land-cover map is made with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.errors import ModelError
from engine.sensors import SENSORS

if TYPE_CHECKING:
    from engine.events import Reporter
    from engine.mapping.landcover.classifier import LandcoverModel
    from engine.models.bundle import KnownModel

LIGHT, BOTH = "landcover", "landcover-s1s2"
"""The starter models: from Sentinel-2 alone, and from Sentinel-1, Sentinel-2 or both."""


def choose_model(model: str, sensors: Sequence[str], *, device: str, reporter: Reporter) -> LandcoverModel:
    """The model of that name or folder; of ``auto`` the starter model that fits ``sensors`` ("s1", "s2").

    Raises ModelError: unknown, unfit or damaged, or no starter model for these sensors; DeviceError.
    """
    from engine.mapping.landcover.classifier import LandcoverModel
    from engine.models.bundle import find_model, list_models

    if model != "auto":
        return LandcoverModel(find_model(model, task="landcover"), device=device)
    name, why = automatic(sensors, list_models())
    reporter.log(f"The model {name} is taken: {why}.")
    return LandcoverModel(find_model(name, task="landcover"), device=device, why=why)


def automatic(sensors: Sequence[str], known: Sequence[KnownModel]) -> tuple[str, str]:
    """(name, why) of the installed starter model for ``sensors``; raises ModelError where there is none.

    Sentinel-2 alone: :data:`LIGHT`, else :data:`BOTH`; both sensors: :data:`BOTH`, else :data:`LIGHT`, which looks at
    Sentinel-2 alone; Sentinel-1 alone: :data:`BOTH`.
    """
    installed = {one.name for one in known} & {LIGHT, BOTH}
    given = " and ".join(SENSORS[sensor].title for sensor in sensors)
    alone: dict[tuple[str, ...], tuple[str, ...]] = {("s2",): (LIGHT, BOTH), ("s1",): (BOTH,)}
    order = alone.get(tuple(sensors), (BOTH, LIGHT))
    for name in order:
        if name not in installed:
            continue
        if name == BOTH:
            return name, f"it maps from Sentinel-1, Sentinel-2 or both, and {given} {_is_are(sensors)} given"
        more = f"; {BOTH}, which would look at Sentinel-1 too, is not installed" if "s1" in sensors else ""
        return name, f"it maps from Sentinel-2{more}"
    raise ModelError(
        f"No model is installed that maps land cover from {given}.",
        remedy="Give a model with --model (a name from 'engine models list' or a folder), or train one with "
        "'engine finetune --task landcover'.",
    )


def _is_are(sensors: Sequence[str]) -> str:
    return "is" if len(sensors) == 1 else "are"
