"""The card of a model bundle: what the model takes, what it gives, what it was trained on, how good it was measured."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from engine.models.names import PhotoEncoderName
from engine.sensors import SENSORS

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BandInput(_Part):
    """One input band: ``name`` as in :mod:`engine.sensors`, the unit of its values, and their mean and spread there."""

    sensor: str
    name: str
    unit: Literal["db", "reflectance"]
    mean: Finite
    std: Positive
    optional: bool = False
    """A scene may lack the band: the model was trained with it hidden (as its mean) too."""

    @model_validator(mode="after")
    def _known(self) -> BandInput:
        if self.sensor not in SENSORS:
            raise ValueError(f"there is no sensor {self.sensor!r}; there are {', '.join(SENSORS)}")
        names = [band.name for band in SENSORS[self.sensor].bands]
        if self.name not in names:
            raise ValueError(f"{SENSORS[self.sensor].title} has no band {self.name!r}; it has {', '.join(names)}")
        return self


class OutputClass(_Part):
    """One class: ``value`` in the output raster (for flood 0 dry, 1 water; for land cover a legend's code, 1 to 254),
    ``name`` for people, ``color`` on maps as ``#rrggbb`` where no legend gives it."""

    value: Annotated[int, Field(ge=0, le=255)]
    name: Text
    color: Annotated[str, Field(pattern=r"^#[0-9a-f]{6}$")] | None = None


Architecture = Literal["resnet-unet", "two-sensor-unet", "pixel", "pixel-unet", "resnet", "convnext", "crossview"]
ALONE = ("resnet", "convnext")
"""Architectures that are an encoder without anything behind it."""


class Network(_Part):
    """What the network is built with, beside bands and classes: "resnet-unet" is
    :class:`engine.models.segmenter.Segmenter`, "two-sensor-unet" is
    :class:`engine.models.two_sensor.TwoSensorSegmenter`, "pixel" is :class:`engine.models.pixel.PixelSegmenter`
    without a trunk (``encoder`` and ``width`` say nothing then) and "pixel-unet" with one, "resnet" and "convnext" are
    an encoder alone, "crossview" is :class:`engine.models.crossview.CrossViewNetwork`."""

    architecture: Architecture = "resnet-unet"
    encoder: PhotoEncoderName = "resnet18"
    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    depth: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor of a ConvNeXt's numbers of blocks."""
    stages: Annotated[int, Field(ge=1, le=4)] = 4
    """Stages of the encoders of a "crossview"."""
    maps: Annotated[int, Field(ge=1, le=64)] = 8
    """Maps of a "crossview"'s heads."""
    rings: Annotated[int, Field(ge=0, le=256, multiple_of=4)] = 0
    """Width of the :class:`engine.models.rings.RingNetwork` beside a "crossview"; 0: there is none."""
    features: Annotated[int, Field(ge=1, le=512)] = 4
    """Fewest channels of a block of the decoder."""
    validity: bool = False
    """The network has one more input band, 1 where a pixel is valid."""
    waves: Annotated[int, Field(ge=0, le=65536)] = 0
    """Random cosines of a "pixel" or "pixel-unet"."""
    indices: bool = False
    """A "resnet-unet" of Sentinel-2 that computes normalised differences of its bands itself
    (:mod:`engine.models.indices`)."""


Rgb = tuple[Finite, Finite, Finite]
PositiveRgb = tuple[Positive, Positive, Positive]
Size = tuple[Annotated[int, Field(ge=4)], Annotated[int, Field(ge=4)]]


class GroundInput(_Part):
    """What the ground branch of a cross-view network sees: ``size`` (rows, columns) of an equirectangular image that
    spans ``hfov_deg`` × ``vfov_deg`` around the pitch ``pitch_center_deg``: red, green and blue of 0 to 1, less
    ``mean``, divided by ``std``; what an image does not show is ``mean``. ``heading`` "north": the image's centre must
    look north; "any": it was trained with unknown headings."""

    size: Size
    hfov_deg: Annotated[float, Field(gt=0, le=360)]
    vfov_deg: Annotated[float, Field(gt=0, le=180)]
    pitch_center_deg: Annotated[float, Field(ge=-90, le=90)] = 0.0
    heading: Literal["north", "any"] = "north"
    mean: Rgb
    std: PositiveRgb


class OverheadInput(_Part):
    """What the overhead branch sees: ``size`` pixels, north up, ``extent_m`` metres from edge to edge (None: the scale
    of the training images is not known, whole images are taken), values as in :class:`GroundInput`."""

    size: Size
    extent_m: Positive | None = None
    mean: Rgb
    std: PositiveRgb


class CrossViewInputs(_Part):
    """The inputs of a cross-view network."""

    ground: GroundInput
    overhead: OverheadInput


class TrainingData(_Part):
    """A data set that the weights were trained on; ``licence`` as its publisher states it."""

    name: Text
    licence: Text
    attribution: str = ""
    address: str = ""


class Figure(_Part):
    """A measured figure: ``value`` with its 95 % interval over ``n`` items of ``data``, which were not trained on."""

    metric: Text
    value: Finite
    low: Finite
    high: Finite
    n: Annotated[int, Field(ge=1)]
    data: Text

    @model_validator(mode="after")
    def _ordered(self) -> Figure:
        if not self.low <= self.value <= self.high:
            raise ValueError(f"the interval {self.low} to {self.high} does not hold the value {self.value}")
        return self


class Card(_Part):
    """``card.json``. ``activation``: "sigmoid" with one class more than outputs (the last class's probability), or
    "softmax" with one output per class; ``temperature`` divides the logits and makes the probabilities calibrated.
    The task "encoder" is a network without a decoder, to be fine-tuned: it has no classes and the activation "none".
    The task "crossview" has ``crossview`` instead of bands and classes; ``gsd_m`` is the size of an overhead input's
    pixels on the ground."""

    format: Literal[1] = 1
    name: Annotated[str, Field(pattern=NAME)]
    title: Text
    description: str = ""
    licence: Text
    task: Literal["flood", "landcover", "encoder", "crossview"]
    bands: tuple[BandInput, ...] = ()
    crossview: CrossViewInputs | None = None
    gsd_m: tuple[Positive, Positive]
    classes: tuple[OutputClass, ...] = ()
    legend: Text | None = None
    """Land cover: name of the legend that the classes' values belong to; None where the classes are the model's own."""
    unknown_below: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Land cover: a pixel whose largest calibrated probability is below this is unknown."""
    activation: Literal["sigmoid", "softmax", "none"]
    temperature: Positive = 1.0
    network: Network
    tile: Annotated[int, Field(ge=32, le=4096, multiple_of=32)] = 512
    overlap: Annotated[int, Field(ge=0)] = 64
    trained_on: tuple[TrainingData, ...]
    figures: tuple[Figure, ...] = ()
    weights_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    engine_version: Text

    @field_validator("gsd_m")
    @classmethod
    def _gsd(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"the range {value[0]} to {value[1]} m is empty")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        for what, values in (
            ("bands", [(b.sensor, b.name) for b in self.bands]),
            ("class values", [c.value for c in self.classes]),
        ):
            if len(set(values)) != len(values):
                raise ValueError(f"{what} stand more than once: {values}")
        if self.overlap >= self.tile:
            raise ValueError(f"overlap {self.overlap} is not smaller than tile {self.tile}")
        encoder, photos = self.task == "encoder", self.task == "crossview"
        fits = encoder == (self.network.architecture in ALONE) and photos == (self.network.architecture == "crossview")
        if not fits or (encoder or photos) != (self.activation == "none"):
            raise ValueError(
                f"the task {self.task} does not go with the network {self.network.architecture} and the activation "
                f"{self.activation}"
            )
        if photos != (self.crossview is not None) or photos == bool(self.bands):
            raise ValueError(f"a model for the task {self.task} takes {'images, not bands' if photos else 'bands'}")
        if self.classes if encoder or photos else len(self.classes) < 2:
            raise ValueError(f"a model for the task {self.task} cannot have {len(self.classes)} classes")
        order = [band.sensor for band in self.bands]
        ordered = set(order) == {"s1", "s2"} and order == sorted(order)
        if self.network.architecture == "two-sensor-unet" and (not ordered or self.network.validity):
            raise ValueError("a two-sensor network takes bands of s1, then bands of s2, and no validity band")
        if self.network.indices and (
            self.network.architecture != "resnet-unet" or set(order) != {"s2"} or self.network.validity
        ):
            raise ValueError("indices are for a resnet-unet of bands of s2 without a validity band")
        if self.activation == "sigmoid" and len(self.classes) != 2:
            raise ValueError(f"sigmoid needs 2 classes, found {len(self.classes)}")
        if self.task == "flood" and {c.value for c in self.classes} != {0, 1}:
            raise ValueError("a flood model needs the classes 0 (dry) and 1 (water)")
        if self.task == "landcover" and not all(1 <= c.value <= 254 for c in self.classes):
            raise ValueError("a land-cover model needs class values from 1 to 254 (0 is unknown, 255 not observed)")
        if self.network.encoder.startswith("convnext") and self.network.architecture not in ("convnext", "crossview"):
            raise ValueError(f"a {self.network.architecture} cannot have the encoder {self.network.encoder}")
        if self.task != "landcover" and (self.legend is not None or self.unknown_below > 0):
            raise ValueError(f"legend and unknown_below are for land cover, not for {self.task}")
        if self.bands and all(band.optional for band in self.bands):
            raise ValueError("at least one band must not be optional")
        return self

    @property
    def sensors(self) -> tuple[str, ...]:
        """Keys of the sensors, in the order of the bands."""
        return tuple(dict.fromkeys(band.sensor for band in self.bands))

    @property
    def outputs(self) -> int:
        """Outputs of the network; 0 for an encoder and a cross-view network."""
        return 1 if self.activation == "sigmoid" else len(self.classes)

    @property
    def inputs(self) -> int:
        """Input bands of the network, the validity band included; 3 for each branch of a cross-view network."""
        if self.crossview is not None:
            return 3
        return len(self.bands) + (1 if self.network.validity else 0)


def gsd_fits(card: Card, gsd_m: tuple[float, float], *, tolerance: float = 0.25) -> bool:
    """True when both ground sampling distances (m) lie in the card's range, give or take ``tolerance`` of it."""
    low, high = card.gsd_m
    return all(math.isfinite(g) and low * (1 - tolerance) <= g <= high * (1 + tolerance) for g in gsd_m)


def is_name(text: str) -> bool:
    """True when ``text`` can be the name of a model (and not a path)."""
    return re.fullmatch(NAME, text) is not None
