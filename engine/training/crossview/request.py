"""What a cross-view training is made from."""

from __future__ import annotations

import math
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from engine.models.names import PhotoEncoderName
from engine.panorama.circle import FULL_CIRCLE
from engine.training.requests import KeptRequest, Positive, Share

StageName = Literal["intra", "cross", "geometric", "curriculum", "supervised"]
STAGES: tuple[StageName, ...] = ("intra", "cross", "geometric", "curriculum", "supervised")
PSEUDO: tuple[StageName, ...] = ("geometric", "curriculum")
"""Stages that learn from pseudo-labels."""
FOUND_TURNS = 8
"""Turns that are compared where headings are found and nothing is said (docs/studies/cross-view.md)."""
FOUND_ERROR_DEG = 15.0
"""By which found headings are made wrong where nothing is said: a little more than the half of what lies between two
of the headings that a search tries."""
Restyle = Literal["none", "colour", "texture", "cyclegan"]
Count = Annotated[int, Field(ge=1)]


class CrossViewTrainRequest(KeptRequest):
    """Parameters of ``engine crossview train``."""

    data: tuple[str, ...] = Field(
        (),
        description="Pairs, or panoramas and tiles: KIND:PATH[@SPLIT] of pairs-csv, cvusa, cvact or vigor, or a folder "
        "with a pairs.csv; may be repeated.",
    )
    labels: Share = Field(
        0.0, description="Share of the true pairs that is used: 0 none (unsupervised), 1 all (supervised)."
    )
    stages: str | None = Field(
        None,
        description="Stages in order, of intra, cross, geometric, curriculum and supervised; default: intra, cross and "
        "curriculum, with all labels supervised alone.",
    )
    encoder: PhotoEncoderName = Field("convnext_tiny", description="Encoder of either view; their weights are apart.")
    width: float = Field(1.0, gt=0, le=4, description="Factor of the encoders' channel counts.")
    depth: float = Field(1.0, gt=0, le=4, description="Factor of a ConvNeXt's numbers of blocks.")
    encoder_stages: int = Field(4, ge=2, le=4, description="Stages of the encoders: 3 leaves out the coarsest.")
    maps: int = Field(8, ge=1, le=64, description="Weight maps of the heads.")
    start: str | None = Field(
        None,
        description="Weights to start from: published ConvNeXt or ResNet weights (.safetensors, .pth), an encoder "
        "bundle of three bands, or a cross-view model.",
    )
    ground_size: str = Field("128x512", description="Rows x columns of the ground images.")
    overhead_size: int = Field(256, ge=32, le=1024, description="Side of the overhead images, in pixels.")
    hfov: float = Field(360.0, gt=0, le=360, description="Field of view in azimuth; below 360 a part is drawn.")
    vfov: float | None = Field(
        None, gt=0, le=180, description="Field of view in pitch; default: the least of the data."
    )
    heading: Literal["known", "unknown", "found"] = Field(
        "known",
        description="unknown: panoramas are turned at random in training, and no heading is used. found: none is read "
        "either, but headings are looked for together with the pairs; the network wants north ahead, so that a search "
        "tries 16 of them.",
    )
    heading_error: float | None = Field(
        None,
        ge=0,
        le=45,
        description="Degrees by which known and found headings are made wrong, at most, so that the network bears it: "
        "a search tries 16 headings, 22.5 apart, and compasses err; default: 15 where headings are found or several "
        "turns are compared, else 0.",
    )
    test_heading: Literal["auto", "known", "unknown"] = Field(
        "auto",
        description="unknown: the panoramas of --test are turned at random, and a network that wants north ahead is "
        "asked at 16 headings, as a search asks it; auto: unknown unless headings are known in training.",
    )
    extent: Positive | None = Field(
        None, description="Metres from edge to edge of an overhead image; default: by the data."
    )
    camera_height: Positive = Field(2.5, description="Height of the cameras above the ground, in metres.")
    restyle: Restyle = Field(
        "texture",
        description="How bird's-eye views are made to look like tiles: not at all, by colours, by texture and colours, "
        "or by a CycleGAN that is trained first.",
    )
    gan_epochs: Positive = Field(20.0, description="Passes of the CycleGAN over the panoramas.")
    gan_batch: Count = Field(4, description="Images a step and process of the CycleGAN.")
    gan_blocks: Count = Field(9, description="Residual blocks of its generators.")
    gan_width: float = Field(1.0, gt=0, le=4, description="Factor of its channels.")
    intra_epochs: Positive = Field(12.0, description="Passes of the stage intra.")
    cross_epochs: Positive = Field(16.0, description="Passes of the stage cross.")
    geometric_epochs: Positive = Field(16.0, description="Passes of the stage geometric.")
    epochs: Positive | None = Field(None, description="Passes of the stages curriculum and supervised; default: 40.")
    steps: int | None = Field(
        None, ge=1, description="Steps of all stages together, shared out as their passes are; default: by the passes."
    )
    gap: float = Field(0.05, ge=0, le=2, description="Gap of similarity asked of a pseudo-label in the first epoch.")
    geometric_gap: float = Field(
        0.02,
        ge=0,
        le=2,
        description="Gap of correlation asked of a pair that the matcher without weights finds (stage geometric).",
    )
    geometric_doubt: Share = Field(
        0.1,
        description="Share of the matcher's pairs that may be chance, estimated without labels by panoramas that are "
        "turned or mirrored on purpose: the gap is raised for it.",
    )
    gap_of: Literal["both", "row", "none"] = Field(
        "both", description="Who must have the gap: panorama and tile, the panorama alone, or none."
    )
    mutual: bool = Field(True, description="Pseudo-labels must choose each other.")
    curriculum: bool = Field(True, description="The gap falls along a cosine; without, it stands.")
    dustbin: bool = Field(True, description="Panoramas and tiles without a label are pushed from all others.")
    least_labels: Share = Field(
        0.02, description="Share of the panoramas that gets a pseudo-label at least: the gap is lowered for it."
    )
    rehearse: float = Field(
        1.0,
        ge=0,
        le=10,
        description="Weight of the stage cross within geometric and curriculum, so that it is not forgotten; none "
        "where geometric came instead of it.",
    )
    labelled_share: float = Field(
        0.5, gt=0, le=1, description="Least share of a batch of the curriculum that has labels, where there are enough."
    )
    mine_after: int = Field(1, ge=0, description="Epochs before hard negatives are looked for.")
    neighbours: int = Field(64, ge=0, description="Neighbours that a pair brings into a batch; 0: none are looked for.")
    validation_share: float = Field(
        0.1, ge=0, le=0.5, description="Share of the panoramas held out, without labels, to choose the checkpoint by."
    )
    choose: Literal["auto", "label-free", "last"] = Field(
        "auto",
        description="Which weights are kept: those with most agreement on what was held out, no label used, or the "
        "last; auto: the last with all labels, else label-free.",
    )
    temperature: Positive = Field(0.07, description="Temperature of the contrast at the start; it is learned.")
    smoothing: float = Field(0.1, ge=0, lt=1, description="Label smoothing of intra and supervised; thrice in cross.")
    colour: Share = Field(0.3, description="Largest change of brightness, contrast and saturation.")
    disguise: Share = Field(
        0.0,
        description="Strength of further changes of either view by itself (gamma, mixed colours, uneven light, haze, "
        "coarse pixels, noise), for photos and imagery unlike those that are learned from.",
    )
    tilt: float = Field(
        0.0, ge=0, le=20, description="Degrees by which cameras seem tilted and the ground rises or falls, at most."
    )
    turns: int | None = Field(
        None,
        ge=1,
        le=64,
        description="Headings, evenly round the circle, at which panoramas are compared with the tiles of a batch: a "
        "wrong turn of the right tile is a negative like another tile; for networks that a search asks at many "
        "headings. Divides the columns of the features (ground columns / 32 with four encoder stages); default: 8, or "
        "what divides of it, where headings are found, else 1.",
    )
    batch: int = Field(64, ge=2, description="Pairs a step and process.")
    lr: Positive = Field(1e-3, description="Largest learning rate of each stage; 1e-4 for published weights.")
    warmup: Share = Field(0.1, description="Share of each stage over which the rate climbs.")
    weight_decay: float = Field(0.03, ge=0, description="Weight decay.")
    clip: float = Field(1.0, ge=0, description="Largest norm of the gradient; 0: no bound.")
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="Number type of forward passes; auto: bf16 or fp16 on CUDA, else fp32."
    )
    seed: int = Field(0, ge=0, lt=2**31, description="Seed of weights, order, augmentation and what is held out.")
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
    workers: int = Field(2, ge=0, le=64, description="Threads that read images ahead.")
    cache_gb: float = Field(4.0, ge=0, description="Memory for images that were read, in GB a process.")
    checkpoint_every: int = Field(500, ge=1, description="Steps between checkpoints; one is due every 10 minutes too.")
    log_every: int = Field(10, ge=1, description="Steps between lines of metrics.jsonl.")
    tensorboard: bool = Field(False, description="Write TensorBoard files too; needs the extra tensorboard.")
    test: tuple[str, ...] = Field((), description="Pairs, KIND:PATH[@SPLIT], that the figures of the card are of.")

    @field_validator("test", mode="before")
    @classmethod
    def _one_or_more_tests(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("ground_size")
    @classmethod
    def _size(cls, value: str) -> str:
        if not re.fullmatch(r"\d+x\d+", value):
            raise ValueError("expected ROWSxCOLUMNS, for example 128x512")
        return value

    @field_validator("stages")
    @classmethod
    def _known_stages(cls, value: str | None) -> str | None:
        names = [] if value is None else [part.strip() for part in value.split(",")]
        if any(name not in STAGES for name in names) or len(set(names)) != len(names):
            raise ValueError(f"expected some of {', '.join(STAGES)}, each once")
        return value

    @model_validator(mode="after")
    def _whole_panoramas_are_turned(self) -> CrossViewTrainRequest:
        if self.heading == "found" and self.hfov < FULL_CIRCLE:
            raise ValueError("headings are found for whole panoramas; expected hfov 360, or heading unknown")
        return self

    @model_validator(mode="after")
    def _turns_are_whole_places(self) -> CrossViewTrainRequest:
        turns, places = self.turns or 1, self._places_round
        if turns > 1 and (self.hfov < FULL_CIRCLE or self.heading == "unknown"):
            raise ValueError("turns are compared for whole panoramas that have a heading, known or found")
        if turns > 1 and (places < turns or places % turns):
            raise ValueError(f"turns must divide {places}, the columns of the ground features; found {turns}")
        return self

    @model_validator(mode="after")
    def _labels_for_stages(self) -> CrossViewTrainRequest:
        if "supervised" in self.stage_names and self.labels == 0:
            raise ValueError("the stage supervised needs labels above 0")
        return self

    @property
    def stage_names(self) -> tuple[StageName, ...]:
        """The stages in order."""
        if self.stages is None:
            return ("supervised",) if self.labels == 1 else ("intra", "cross", "curriculum")
        chosen = [part.strip() for part in self.stages.split(",")]
        return tuple(name for part in chosen for name in STAGES if name == part)

    @property
    def rehearsed(self) -> bool:
        """Stages with pseudo-labels rehearse the stage cross: where the cold start was it, or another run's."""
        names = self.stage_names
        begun = "cross" in names or "geometric" not in names
        return self.rehearse > 0 and begun and any(name in PSEUDO for name in names)

    @property
    def ground_pixels(self) -> tuple[int, int]:
        """(rows, columns) of what the ground branch takes."""
        rows, _, columns = self.ground_size.partition("x")
        return int(rows), int(columns)

    @property
    def wrong_by_deg(self) -> float:
        """Degrees by which headings are made wrong at most."""
        if self.heading_error is not None:
            return self.heading_error
        return FOUND_ERROR_DEG if self.heading == "found" or self.compared_turns > 1 else 0.0

    @property
    def compared_turns(self) -> int:
        """Headings at which panoramas are compared with the tiles of a batch."""
        if self.turns is not None:
            return self.turns
        return math.gcd(FOUND_TURNS, self._places_round) if self.heading == "found" else 1

    @property
    def _places_round(self) -> int:
        """Columns of the ground features."""
        return self.ground_pixels[1] // 2 ** (self.encoder_stages + 1)

    @property
    def tested_turned(self) -> bool:
        """The panoramas of ``test`` are turned at random first."""
        return self.heading != "known" if self.test_heading == "auto" else self.test_heading == "unknown"

    @property
    def by_agreement(self) -> bool:
        """The checkpoint is chosen without labels."""
        return self.choose == "label-free" or (self.choose == "auto" and self.labels < 1)
