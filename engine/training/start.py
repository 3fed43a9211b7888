"""What a network to be fine-tuned starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.errors import ModelError
from engine.models.bundle import CARD, Bundle, find_model, load_bundle
from engine.models.resnet import ResNet
from engine.models.segmenter import Segmenter
from engine.models.two_sensor import TwoSensorSegmenter
from engine.sensors import SENSORS
from engine.training.data.statistics import BandStatistics
from engine.training.labelled import SENSOR_SETS, statistics_of
from engine.training.requests import FinetuneRequest


@dataclass(frozen=True)
class Start:
    """An encoder with its normalisation for each sensor, or none: random weights. ``network``: all of a model for the
    same task and sensors, decoder included, and ``values``: what its outputs stand for, in ``legend``. ``sha256`` of
    what was read."""

    name: str
    encoders: dict[str, ResNet] = field(default_factory=dict)
    statistics: dict[str, BandStatistics] = field(default_factory=dict)
    sha256: str | None = None
    network: Segmenter | TwoSensorSegmenter | None = None
    values: tuple[int, ...] = ()
    legend: str | None = None


def find_start(request: FinetuneRequest) -> Start:
    """The start that ``--encoder`` names: a run's folder, a model's name or folder, or random.

    A run has an encoder for each sensor; a model gives the encoder or encoders it has, and a model for the same task
    and the very sensors that are trained gives its decoder too. Raises ModelError: unknown, damaged, for other sensors,
    or two encoders of different sizes.
    """
    if request.encoder == "random":
        return Start("random")
    sensors = SENSOR_SETS[request.sensor_set]
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
    start = Start(" and ".join(names), encoders, statistics, sha256)
    card = bundles[sensors[0]].card
    if card.task != request.task or card.sensors != sensors or card.activation != "softmax":
        if any(bundle.card.network.indices for bundle in bundles.values()):
            raise ModelError(
                f"{bundles[sensors[0]].folder}: the model {card.name} has indices of its bands inside and can only be "
                f"gone on with for {card.task} from {' and '.join(card.sensors)}.",
                remedy="Start from another model or run, or from random weights.",
            )
        return start
    network = bundles[sensors[0]].two_sensor() if len(sensors) == 2 else bundles[sensors[0]].network()
    return replace(start, network=network, values=tuple(one.value for one in card.classes), legend=card.legend)


def carry_over(
    start: Start, network: Segmenter | TwoSensorSegmenter, values: Sequence[int], legend: str | None
) -> None:
    """Give ``network``, whose outputs stand for ``values`` of ``legend``, the weights of ``start``: those of the whole
    model, outputs by what they stand for (others stay as they are), else those of the encoders."""
    if start.network is None:
        homes = [network.s1, network.s2] if isinstance(network, TwoSensorSegmenter) else [network.encoder]
        for encoder, known in zip(homes, start.encoders.values(), strict=False):
            encoder.load_state_dict(known.state_dict())
        return
    own, found = network.state_dict(), start.network.state_dict()
    for name in ("head.weight", "head.bias"):
        rows = own[name].clone()
        for row, value in enumerate(values):
            if legend == start.legend and value in start.values:
                rows[row] = found[name][start.values.index(value)]
        found[name] = rows
    network.load_state_dict(found)


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
