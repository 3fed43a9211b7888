"""The method ``auto``: for each scene the method that measured better on events that had no part in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.events import Reporter
from engine.mapping.flood.detector import FloatArray, SceneReader, WaterDetector
from engine.models.bundle import KnownModel, list_models, load_bundle
from engine.models.card import gsd_fits
from engine.raster.grid import Window

STARTERS = {"s1": "flood-s1"}
"""The models that measured better than the methods without weights, by sensor (docs/studies/flood-starter.md)."""


@dataclass(frozen=True)
class Choice:
    """What is taken for a scene: a model by name, or the thresholds (None), and why, in words for people."""

    model: str | None
    why: str


class AutomaticDetector:
    """A :class:`~engine.mapping.flood.detector.WaterDetector` that is decided by :meth:`check`, once for each scene.

    ``make`` builds the detector of a name ("threshold" or a model's). Before the first check it stands for thresholds.
    """

    def __init__(self, make: Callable[[str], WaterDetector], *, reporter: Reporter) -> None:
        self._make, self._reporter = make, reporter
        self._made: dict[str, WaterDetector] = {}
        self._chosen = self._get("threshold")
        self._choice: Choice | None = None

    def _get(self, name: str) -> WaterDetector:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def check(self, scene: SceneReader) -> None:
        """Decide for this scene; raises what the chosen detector's check raises, ModelError for damaged weights."""
        choice = choose(scene, list_models())
        if choice != self._choice:
            self._reporter.log(f"Method auto: {choice.model or 'threshold'}, since {choice.why}.")
        self._choice, self._chosen = choice, self._get(choice.model or "threshold")
        self._chosen.check(scene)

    @property
    def name(self) -> str:
        """That of the chosen detector."""
        return self._chosen.name

    @property
    def sensors(self) -> tuple[str, ...]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        return tuple(dict.fromkeys(("s1", *STARTERS)))

    @property
    def optical_bands(self) -> tuple[str, ...]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        return self._chosen.optical_bands

    @property
    def grow_percent(self) -> int:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        return self._chosen.grow_percent

    def probabilities(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        yield from self._chosen.probabilities(scene, reporter)

    def probabilities_before(self, scene: SceneReader, reporter: Reporter) -> Iterator[tuple[Window, FloatArray]]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        yield from self._chosen.probabilities_before(scene, reporter)

    def diagnostics(self) -> dict[str, Any]:
        """Those of the chosen detector, and ``auto``: why it was chosen."""
        return {**self._chosen.diagnostics(), **({"auto": self._choice.why} if self._choice else {})}


def choose(scene: SceneReader, known: list[KnownModel]) -> Choice:
    """The starter model where it is installed and the scene is one that it was measured for, else thresholds.

    Raises ModelError for a starter whose card is damaged.
    """
    starter = STARTERS["s1"]
    folder = next((model.folder for model in known if model.name == starter), None)
    if folder is None:
        return Choice(None, f"the model {starter} is not installed")
    card = load_bundle(folder).card
    missing = [band.name for band in card.bands if band.name not in scene.polarisations]
    if missing:
        return Choice(None, f"the scene lacks {' and '.join(missing)}, which {starter} needs")
    gsd = scene.grid.gsd_m()
    if scene.grid.crs is not None and not gsd_fits(card, gsd):
        return Choice(
            None,
            f"pixels of {gsd[0]:.0f} x {gsd[1]:.0f} m are not those that {starter} was measured at "
            f"({card.gsd_m[0]:g} to {card.gsd_m[1]:g} m)",
        )
    return Choice(starter, "it measured better than thresholds on events that it was not trained on")
