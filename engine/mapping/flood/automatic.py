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

THRESHOLD, STARTER = "threshold", "flood-s1"
MEASURED_BEST = f"{THRESHOLD}+{STARTER}"
"""What measured best on events left out of training (docs/studies/flood-starter.md), where it fits the scene."""


@dataclass(frozen=True)
class Choice:
    """The method that is taken for a scene, and why, in words for people."""

    method: str
    why: str


class AutomaticDetector:
    """A :class:`~engine.mapping.flood.detector.WaterDetector` that is decided by :meth:`check`, once for each scene.

    ``make`` builds the detector of a method's name. Before the first check it stands for thresholds.
    """

    def __init__(self, make: Callable[[str], WaterDetector], *, reporter: Reporter) -> None:
        self._make, self._reporter = make, reporter
        self._made: dict[str, WaterDetector] = {}
        self._chosen = self._get(THRESHOLD)
        self._choice: Choice | None = None

    def _get(self, name: str) -> WaterDetector:
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def check(self, scene: SceneReader) -> None:
        """Decide for this scene; raises what the chosen detector's check raises, ModelError for damaged weights."""
        choice = choose(scene, list_models())
        if choice != self._choice:
            self._reporter.log(f"Method auto: {choice.method}, since {choice.why}.")
        self._choice, self._chosen = choice, self._get(choice.method)
        self._chosen.check(scene)

    @property
    def name(self) -> str:
        """That of the chosen detector."""
        return self._chosen.name

    @property
    def sensors(self) -> tuple[str, ...]:
        """See :class:`~engine.mapping.flood.detector.WaterDetector`."""
        return ("s1",)

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
    """:data:`MEASURED_BEST` where the starter is installed and the scene is one that it was measured for, else
    thresholds alone.

    Raises ModelError for a starter whose card is damaged.
    """
    folder = next((model.folder for model in known if model.name == STARTER), None)
    if folder is None:
        return Choice(THRESHOLD, f"the model {STARTER} is not installed")
    card = load_bundle(folder).card
    missing = [band.name for band in card.bands if band.name not in scene.polarisations]
    if missing:
        return Choice(THRESHOLD, f"the scene lacks {' and '.join(missing)}, which the model {STARTER} needs")
    gsd = scene.grid.gsd_m()
    if scene.grid.crs is not None and not gsd_fits(card, gsd):
        return Choice(
            THRESHOLD,
            f"pixels of {gsd[0]:.0f} x {gsd[1]:.0f} m are not those that the model {STARTER} was measured at "
            f"({card.gsd_m[0]:g} to {card.gsd_m[1]:g} m)",
        )
    return Choice(MEASURED_BEST, "both together measured best on events that the model was not trained on")
