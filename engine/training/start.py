"""What a network to be fine-tuned starts from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import ModelError
from engine.models.bundle import CARD, Bundle, find_model, load_bundle
from engine.models.resnet import ResNet
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.sensors import SENSORS
from engine.training.data.statistics import BandStatistics
from engine.training.flood_card import CLASSES
from engine.training.flood_data import SENSOR_SETS, statistics_of
from engine.training.requests import FinetuneRequest


@dataclass(frozen=True)
class Start:
    """An encoder with its normalisation for each sensor, or none: random weights. ``network``: all of a flood model of
    the same sensors, decoder included. ``sha256`` of what was read."""

    name: str
    encoders: dict[str, ResNet] = field(default_factory=dict)
    statistics: dict[str, BandStatistics] = field(default_factory=dict)
    sha256: str | None = None
    network: Segmenter | TwoSensorSegmenter | None = None


def find_start(request: FinetuneRequest) -> Start:
    """The start that ``--encoder`` names: a run's folder, a model's name or folder, or random.

    A run has an encoder for each sensor; a model gives the encoder or encoders it has, and a flood model of the very
    sensors that are trained gives its decoder too. Raises ModelError: unknown,
    damaged, for other sensors, or two encoders of different sizes.
    """
    if request.encoder == "random":
        return Start("random")
    sensors = SENSOR_SETS[request.sensors]
    folder = Path(request.encoder).expanduser()
    homes = {sensor: folder / f"encoder-{sensor}" for sensor in sensors}
    if any((home / CARD).is_file() for home in homes.values()):
        bundles = {sensor: load_bundle(home) for sensor, home in homes.items()}
    else:
        one = find_model(request.encoder)
        bundles = dict.fromkeys(sensors, one)
    encoders = {sensor: _encoder(bundle, sensor) for sensor, bundle in bundles.items()}
    sizes = {(e.name, e.width) for e in encoders.values()}
    if len(sizes) > 1:
        raise ModelError(
            f"{folder}: the encoders differ: "
            + ", ".join(f"{s} {e.name} of width {e.width:g}" for s, e in encoders.items())
            + ".",
            remedy="Give a run whose encoders are of one kind.",
        )
    statistics = {
        sensor: statistics_of([band for band in bundle.card.bands if band.sensor == sensor])
        for sensor, bundle in bundles.items()
    }
    names = dict.fromkeys(bundle.name for bundle in bundles.values())
    sha256 = "+".join(dict.fromkeys(b.sha256 for b in bundles.values()))
    return Start(" and ".join(names), encoders, statistics, sha256, _whole(bundles[sensors[0]], sensors))


def _whole(bundle: Bundle, sensors: tuple[str, ...]) -> Segmenter | TwoSensorSegmenter | None:
    """The whole network of a flood model with softmax over dry and water of the same sensors; else None."""
    card = bundle.card
    fits = card.task == "flood" and card.sensors == sensors and card.activation == "softmax"
    if not fits or [c.value for c in card.classes] != [c["value"] for c in CLASSES]:
        return None
    return bundle.two_sensor() if len(sensors) == 2 else bundle.network()


def _encoder(bundle: Bundle, sensor: str) -> ResNet:
    card = bundle.card
    if card.network.architecture == "two-sensor-unet":
        network = bundle.two_sensor()
        return network.s1 if sensor == "s1" else network.s2
    if card.sensors != (sensor,) or card.network.validity:
        raise ModelError(
            f"{bundle.folder}: the encoder takes {', '.join(card.sensors)}; expected {sensor} alone.",
            remedy=f"Give an encoder for {SENSORS[sensor].title}, or a run that has one.",
        )
    return bundle.encoder()
