"""Which method a name means: the describers of an index, and how its candidates are scored."""

from __future__ import annotations

from engine.crossview.describer import Describer
from engine.device import Device

AUTO, GEOMETRIC, FUSED = "auto", "geometric", "fused"
STARTER = "crossview"


def describers_for(method: str, *, device: Device, precision: str = "float16") -> tuple[str, list[Describer]]:
    """The method that ``method`` means and its describers, those that candidates are found by first.

    ``auto`` is fused where the starter model is installed, else geometric. Raises ModelError for an unknown model.
    """
    from engine.crossview.geometric_describer import GeometricDescriber
    from engine.crossview.learned_describer import LearnedDescriber
    from engine.models.bundle import list_models

    if method == AUTO:
        there = any(model.name == STARTER for model in list_models())
        method = FUSED if there else GEOMETRIC
    if method == GEOMETRIC:
        return GEOMETRIC, [GeometricDescriber(device)]
    name = STARTER if method == FUSED else method
    learned = LearnedDescriber.load(name, device=device, precision=precision)
    if method == FUSED:
        return FUSED, [learned, GeometricDescriber(device)]
    return learned.model.name if learned.model else method, [learned]
