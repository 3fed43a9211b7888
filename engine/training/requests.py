"""What training runs are made from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from engine.models.names import EncoderName
from engine.sensors import SENTINEL2, identify_band
from engine.training.labels.request import LabelFields

Method = Literal["random", "simclr", "moco-v2", "multimodal", "multimodal-ntxent", "multimodal+aggressive", "dense"]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]


class KeptRequest(BaseModel):
    """Parameters of what is kept in a folder while it goes on and can be resumed; descriptions are help texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    out: str = Field(description="Folder of the run; made if absent.")
    data: tuple[str, ...] = Field(
        (), description="Training data, KIND:PATH[@SPLIT] or a folder made by 'engine data pack'; may be repeated."
    )
    steps: int | None = Field(None, ge=1, description="Steps of the optimiser; default: from --epochs.")
    epochs: Positive | None = Field(None, description="Passes over the data; default: 100, or as --steps says.")
    resume: bool = Field(False, description="Go on from the run's last checkpoint, with its own options.")
    overwrite: bool = Field(False, description="Replace a run that is in OUT already.")
    config: str | None = Field(None, description="JSON file with options; those given beside it take precedence.")

    @field_validator("data", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


class RunRequest(KeptRequest):
    """Parameters that pretraining and fine-tuning have in common."""

    width: float = Field(1.0, gt=0, le=4, description="Factor of the encoder's channel counts.")
    crop: int = Field(128, ge=32, le=1024, multiple_of=32, description="Side of the squares, in pixels.")
    batch: int = Field(64, ge=1, description="Squares a step and process.")
    accumulate: int = Field(1, ge=1, description="Parts that a step's batch is cut into, to save memory.")
    lr: Positive = Field(1e-3, description="Largest learning rate.")
    warmup: Share = Field(0.05, description="Share of the steps over which the rate climbs.")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay.")
    optimiser: Literal["adamw", "sgd"] = Field("adamw", description="Optimiser; sgd has a momentum of 0.9.")
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0: no bound.")
    ema: float = Field(0.0, ge=0, lt=1, description="Decay of the moving average of the weights; 0: none is kept.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Number type of forward passes; auto: bf16 or fp16 on CUDA, else fp32."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of weights, order and augmentation.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    workers: int = Field(2, ge=0, le=64, description="Threads that read data ahead.")
    broken: Share = Field(0.1, description="Share of broken items above which the data are refused.")
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints; one is due every 10 minutes too.")
    log_every: int = Field(10, ge=1, description="Steps between lines of metrics.jsonl.")
    tensorboard: bool = Field(False, description="Write TensorBoard files too; needs the extra tensorboard.")


class PretrainRequest(RunRequest):
    """Parameters of ``engine pretrain``."""

    method: Method = Field(
        "multimodal",
        description="multimodal: the two sensors of a place are a pair; multimodal-ntxent: negatives within each "
        "sensor too; dense: pixels too; multimodal+aggressive: strong augmentation too; simclr, moco-v2: two views "
        "of one sensor; random: no training.",
    )
    encoder: EncoderName = Field("resnet18", description="Encoder of each sensor.")
    s2_bands: str | None = Field(
        None,
        description="Sentinel-2 bands to learn from, for example B02,B03,B04,B08; default: those of the pack, else "
        "all twelve of Level-2A.",
    )
    temperature: Positive = Field(0.07, description="Temperature of the contrast.")
    learn_temperature: bool = Field(False, description="Learn the temperature, starting from that.")
    dimensions: int = Field(128, ge=2, le=4096, description="Dimensions of the embedding.")
    queue: int | None = Field(
        None, ge=1, description="Keys in the queue of moco-v2; default: 4096, at most half the squares."
    )
    momentum: float = Field(0.99, ge=0, lt=1, description="Momentum of the key encoder of moco-v2.")
    max_days: float = Field(30.0, ge=0, description="Largest time between the two sensors' images, in days.")
    max_cloud: Share = Field(0.5, description="Largest share of cloud in a Sentinel-2 image.")
    resample_days: float | None = Field(
        None,
        ge=0,
        description="Resampling in time: Sentinel-2 of a date drawn anew each time, of the place and within so many "
        "days of Sentinel-1; default: the date of the pair.",
    )

    @property
    def optical_bands(self) -> tuple[str, ...] | None:
        """``s2_bands`` as standard names; None where it is not given."""
        return standard_bands(self.s2_bands)

    @field_validator("s2_bands")
    @classmethod
    def _known_bands(cls, value: str | None) -> str | None:
        return known_bands(value)


class FinetuneRequest(LabelFields, RunRequest):
    """Parameters of ``engine finetune``."""

    task: Literal["flood", "landcover"] = Field("flood", description="What is mapped.")
    legend: str = Field(
        "worldcover",
        description="Land cover: legend whose classes are learned: worldcover, dfc2020, dynamic-world, esri-lulc or a "
        "JSON file. Labels of other legends are brought to it; classes without a label are left out.",
    )
    sensors: Literal["s1", "s2", "both"] | None = Field(
        None,
        description="Sensors that are mapped from; both: a model for Sentinel-1, Sentinel-2 or the two together; "
        "default: s1 for flood, s2 for landcover.",
    )
    s2_bands: str | None = Field(
        None,
        description="Sentinel-2 bands, for example B03,B04,B08,B11; default: those of the encoder or the pack, else "
        "B02,B03,B04,B08,B11,B12.",
    )
    gsd: Positive | None = Field(
        None, description="Side of a pixel on the ground in metres, for data without georeference."
    )
    encoder: str = Field(
        "random",
        description="Start: a run of 'engine pretrain', a model (name or folder), or random. A model for the same "
        "task and sensors gives its decoder too.",
    )
    architecture: EncoderName = Field("resnet18", description="Encoder of a network that starts from random weights.")
    validation: tuple[str, ...] = Field(
        (), description="Labelled data for validation and calibration; default: part of the events of the data."
    )
    labels: float = Field(
        1.0, gt=0, le=1, description="Share of the labelled squares that is used, drawn by event; shares are nested."
    )
    freeze: Literal["none", "stem", "layer1", "layer2", "layer3", "encoder"] = Field(
        "none", description="Stages of the encoder that are not trained, up to this one."
    )
    layer_decay: float = Field(1.0, gt=0, le=1, description="Factor of the rate from one stage to the one before it.")
    loss: Literal["ce", "ce+dice", "focal", "focal+dice"] = Field(
        "ce+dice", description="Objective: cross entropy or focal loss, with or without Dice."
    )
    class_weights: Literal["none", "balanced"] = Field(
        "balanced", description="Weights of the classes: none, or by the square root of their rarity."
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of a label that is spread over all classes, in the cross entropy."
    )
    balance: Share = Field(
        0.0,
        description="Events or places with many squares are drawn from less often: 0: each square alike, "
        "1: each place alike.",
    )
    jitter: float = Field(
        0.15, ge=0, le=5, description="Largest offset of each band of a square, in standard deviations; 0: none."
    )
    common_jitter: float = Field(
        0.0, ge=0, le=5, description="Largest offset of all bands of a square together, in standard deviations."
    )
    gain: float = Field(
        0.0, ge=0, lt=1, description="Largest change of contrast: deviations from the mean times 1 - GAIN to 1 + GAIN."
    )
    scale: float = Field(
        1.0, ge=1, le=4, description="Squares are magnified by a random factor up to this; 1: not at all."
    )
    shrink: float = Field(
        1.0, ge=1, le=4, description="Squares are reduced by a random factor up to this, and mirrored to fill the rest."
    )
    indices: bool = Field(
        False,
        description="Sentinel-2: the network computes normalised differences of its bands (such as NDVI) as inputs.",
    )
    brightness: float = Field(
        0.0, ge=0, le=2, description="Sentinel-2: reflectance of all bands times e^-BRIGHTNESS to e^BRIGHTNESS."
    )
    tint: float = Field(
        0.0, ge=0, le=2, description="Sentinel-2: reflectance of each band times e^-TINT to e^TINT, by itself."
    )
    haze: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Sentinel-2: up to this reflectance is added or taken off in blue, less in longer wavelengths.",
    )
    hide_bands: Share = Field(
        0.0,
        description="Share of the squares in which Sentinel-2 bands are hidden, each by even chance, so that the model "
        "maps scenes that lack them; never those of --needed-bands.",
    )
    needed_bands: str = Field(
        "B03,B04,B08", description="Sentinel-2 bands that a scene must have when others may be hidden."
    )
    unknown_share: float = Field(
        0.05,
        ge=0,
        lt=1,
        description="Land cover: largest share of the validation pixels that the threshold of 'unknown' leaves "
        "unknown (it is never above 50 %); 0: nothing is unknown.",
    )
    drop_sensor: Share = Field(
        0.5,
        description="With --sensors both: share of the squares in which one of the two sensors is hidden in training, "
        "so that the model works with either.",
    )
    name: str | None = Field(
        None,
        description="Name of the model; default: flood-s1 or landcover-s1s2, for example, as task and sensors say.",
    )
    licence: str = Field("unstated", description="Licence of the weights, for the card.")

    crop: int = Field(256, ge=32, le=1024, multiple_of=32, description="Side of the squares, in pixels.")
    batch: int = Field(16, ge=1, description="Squares a step and process.")
    ema: float = Field(0.99, ge=0, lt=1, description="Decay of the moving average of the weights; 0: none is kept.")

    @property
    def model_name(self) -> str:
        """The name of the model that comes out."""
        return self.name or f"{self.task}-{ {'both': 's1s2'}.get(self.sensor_set, self.sensor_set) }"

    @property
    def sensor_set(self) -> Literal["s1", "s2", "both"]:
        """``sensors``, or what the task takes where it is not given."""
        return self.sensors or ("s2" if self.task == "landcover" else "s1")

    @property
    def hidden_bands(self) -> frozenset[str]:
        """Sentinel-2 bands that may be hidden."""
        needed = {identify_band(part, SENTINEL2) for part in self.needed_bands.split(",")}
        names = [band.name for band in SENTINEL2.bands] if self.hide_bands > 0 else []
        return frozenset(name for name in names if name not in needed)

    @property
    def optical_bands(self) -> tuple[str, ...] | None:
        """``s2_bands`` as standard names; None where it is not given."""
        return standard_bands(self.s2_bands)

    @field_validator("s2_bands", "needed_bands")
    @classmethod
    def _known_bands(cls, value: str | None) -> str | None:
        return known_bands(value)

    @field_validator("validation", mode="before")
    @classmethod
    def _list_of_places(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value


def known_bands(value: str | None) -> str | None:
    """``value``, a list of Sentinel-2 bands; raises ValueError for a name that is none, or that stands twice."""
    names = [identify_band(part, SENTINEL2) for part in value.split(",")] if value is not None else []
    if None in names or len(set(names)) != len(names):
        raise ValueError("expected different band names of Sentinel-2, separated by commas, such as B03,B08,B11")
    return value


def standard_bands(value: str | None) -> tuple[str, ...] | None:
    """A list that :func:`known_bands` lets pass as standard names: ``"nir,B11"`` is ``("B08", "B11")``."""
    if value is None:
        return None
    return tuple(identify_band(part, SENTINEL2) or part for part in value.split(","))
