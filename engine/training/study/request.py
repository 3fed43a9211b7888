"""What a study of label efficiency is made from."""

from __future__ import annotations

import re
from typing import Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from engine.models.names import EncoderName
from engine.training.requests import FinetuneRequest, KeptRequest, Positive, Share, known_bands

Mode = Literal["frozen", "finetuned"]
MODES: tuple[Mode, ...] = get_args(Mode)
RANDOM = "random"
SEED = "{seed}"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9+._-]{0,39}")

OF_A_RUN = (
    "task", "legend", "sensors", "s2_bands", "gsd", "drop_sensor", "jitter", "common_jitter", "gain", "scale",
    "layer_decay", "loss", "class_weights", "crop", "steps", "epochs", "batch", "accumulate", "lr", "warmup",
    "weight_decay", "optimiser", "clip", "ema", "precision", "device", "workers", "broken", "checkpoint_every",
    "log_every",
)  # fmt: skip
"""Options that every cell's fine-tuning gets as they are given, with the meaning and default they have there."""


def _as_there(name: str) -> Any:
    """The field of ``engine finetune``, description, bounds and default included."""
    return FinetuneRequest.model_fields[name]


class LabelEfficiencyRequest(KeptRequest):
    """Parameters of ``engine study label-efficiency``; the field descriptions are its help texts."""

    out: str = Field(description="Folder of the study; made if absent.")
    data: tuple[str, ...] = Field(
        (), description="Labelled training data, KIND:PATH[@SPLIT] or a pack; may be repeated."
    )
    test: tuple[str, ...] = Field(
        (), description="Labelled data that every model is scored on, KIND:PATH[@SPLIT] or a pack; may be repeated."
    )
    validation: tuple[str, ...] = Field(
        (), description="Labelled data for calibration; default: part of the events of the data, by seed."
    )
    encoder: tuple[str, ...] = Field(
        (),
        description="A method: NAME=START, with START a run of 'engine pretrain', a model or random; {seed} in START "
        "stands for each seed. 'random' alone names itself. May be repeated.",
    )
    baseline: str | None = Field(
        None, description="The method that the others are compared with; default: random, else the first."
    )
    fractions: str = Field("0.01,0.02,0.05,0.1,0.2,0.5,1", description="Shares of the labelled squares.")
    seeds: str = Field("0,1,2", description="Seeds: of the events drawn, of weights and order.")
    modes: str = Field(
        "frozen,finetuned", description="frozen: the decoder alone is trained; finetuned: all of the network."
    )
    architecture: EncoderName | None = Field(
        None, description="Encoder that starts from random weights; default: as the other methods have, else resnet18."
    )
    width: float | None = Field(
        None, gt=0, le=4, description="Factor of its channel counts; default: as the other methods have, else 1."
    )
    task: Literal["flood", "landcover"] = _as_there("task")
    legend: str = _as_there("legend")
    gsd: Positive | None = _as_there("gsd")
    sensors: Literal["s1", "s2", "both"] | None = _as_there("sensors")
    s2_bands: str | None = _as_there("s2_bands")
    layer_decay: float = _as_there("layer_decay")
    loss: Literal["ce", "ce+dice", "focal", "focal+dice"] = _as_there("loss")
    class_weights: Literal["none", "balanced"] = _as_there("class_weights")
    drop_sensor: Share = _as_there("drop_sensor")
    jitter: float = _as_there("jitter")
    common_jitter: float = _as_there("common_jitter")
    gain: float = _as_there("gain")
    scale: float = _as_there("scale")
    crop: int = _as_there("crop")
    batch: int = _as_there("batch")
    accumulate: int = _as_there("accumulate")
    lr: Positive = _as_there("lr")
    warmup: Share = _as_there("warmup")
    weight_decay: float = _as_there("weight_decay")
    optimiser: Literal["adamw", "sgd"] = _as_there("optimiser")
    clip: float = _as_there("clip")
    ema: float = _as_there("ema")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = _as_there("precision")
    device: str = _as_there("device")
    workers: int = _as_there("workers")
    broken: Share = _as_there("broken")
    checkpoint_every: int = _as_there("checkpoint_every")
    log_every: int = _as_there("log_every")
    score: Literal["iou", "f1", "mean_iou", "miou", "overall_accuracy"] | None = Field(
        None,
        description="Score of plot and table. flood: iou (default) or f1 of water over all chips together, or mean_iou "
        "of chips with at least 1 % water; landcover: miou (default, the mean over classes) or overall_accuracy, over "
        "all chips together.",
    )
    keep_models: bool = Field(
        False, description="Keep the model of each cell, with a report; else its log and scores alone."
    )
    resume: bool = Field(False, description="Go on with the study in OUT, with its own options.")
    overwrite: bool = Field(False, description="Replace a study that is in OUT already.")

    @field_validator("test", "validation", "encoder", mode="before")
    @classmethod
    def _one_or_several(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("fractions", "seeds", "modes", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        if isinstance(value, (list, tuple)):
            return ",".join(str(part) for part in value)
        return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    @field_validator("s2_bands")
    @classmethod
    def _bands_are_known(cls, value: str | None) -> str | None:
        return known_bands(value)

    @field_validator("fractions")
    @classmethod
    def _shares(cls, value: str) -> str:
        found = _numbers(value, float, "shares such as 0.01,0.1,1")
        if not all(0 < share <= 1 for share in found):
            raise ValueError("expected shares above 0 and at most 1")
        return ",".join(f"{share:g}" for share in sorted(found))

    @field_validator("seeds")
    @classmethod
    def _whole(cls, value: str) -> str:
        found = _numbers(value, int, "whole numbers such as 0,1,2")
        if not all(0 <= seed < 2**31 for seed in found):
            raise ValueError("expected whole numbers from 0 to 2147483647")
        return ",".join(str(seed) for seed in found)

    @field_validator("modes")
    @classmethod
    def _known(cls, value: str) -> str:
        found = [part.strip() for part in value.split(",") if part.strip()]
        if not found or len(set(found)) != len(found) or not set(found) <= set(MODES):
            raise ValueError(f"expected different ones of {', '.join(MODES)}")
        return ",".join(mode for mode in MODES if mode in found)

    @field_validator("encoder")
    @classmethod
    def _named(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        made = []
        for text in value:
            whole = f"{RANDOM}={RANDOM}" if text == RANDOM else text
            name, equals, start = whole.partition("=")
            if not equals or not start:
                raise ValueError(f"expected NAME=START, or random; found {text!r}")
            if not _NAME.fullmatch(name):
                raise ValueError(
                    f"expected a name of at most 40 letters, digits and +._-, a letter or digit first; found {name!r}"
                )
            made.append(whole)
        names = [one.partition("=")[0].casefold() for one in made]
        twice = next((one.partition("=")[0] for i, one in enumerate(made) if names[i] in names[:i]), None)
        if twice is not None:  # folders are named so, and some file systems do not tell case apart
            raise ValueError(f"expected a name for each method; {twice!r} stands twice")
        return tuple(made)

    @model_validator(mode="after")
    def _baseline_is_there(self) -> LabelEfficiencyRequest:
        if self.baseline is not None and self.encoder and self.baseline not in self.starts():
            raise ValueError(f"baseline: expected one of {', '.join(self.starts())}; found {self.baseline!r}")
        return self

    @property
    def sensor_set(self) -> Literal["s1", "s2", "both"]:
        """``sensors``, or what the task takes where it is not given."""
        return self.options(out="").sensor_set

    def options(self, **given: Any) -> FinetuneRequest:
        """The options of a cell's fine-tuning that are the same for all, and ``given`` ones."""
        return FinetuneRequest(**({name: getattr(self, name) for name in OF_A_RUN} | given))

    def starts(self) -> dict[str, str]:
        """Method → what its encoder starts from, ``{seed}`` not yet replaced."""
        return {name: start for name, _, start in (one.partition("=") for one in self.encoder)}

    def shares(self) -> tuple[float, ...]:
        """The label fractions, from the smallest."""
        return tuple(float(part) for part in self.fractions.split(","))

    def seed_numbers(self) -> tuple[int, ...]:
        """The seeds."""
        return tuple(int(part) for part in self.seeds.split(","))

    def mode_names(self) -> tuple[Mode, ...]:
        """The modes, frozen first."""
        return tuple(mode for mode in MODES if mode in self.modes.split(","))

    def compared_with(self) -> str:
        """The baseline's name."""
        names = list(self.starts())
        return self.baseline or (RANDOM if RANDOM in names else names[0])


def _numbers(text: str, kind: type[Any], what: str) -> list[Any]:
    try:
        found = [kind(part) for part in text.split(",") if part.strip()]
    except ValueError:
        found = []
    if not found or len(set(found)) != len(found):
        raise ValueError(f"expected different {what}, separated by commas")
    return found
