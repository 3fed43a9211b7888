"""What an evaluation of panoramas against overhead images is made from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class EvaluateCrossviewRequest(BaseModel):
    """Parameters of ``engine evaluate crossview``; the field descriptions are its help texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str = Field(
        description="pairs.csv (pair_id, panorama, overhead, heading_deg, hfov_deg, vfov_deg, gsd_m), a folder with "
        "one in it or below it, or KIND:PATH[@SPLIT] in a published layout."
    )
    out: str | None = Field(None, description="JSON file for the figures; replaced if it exists.")
    method: str = Field(
        "auto",
        description="auto, geometric (no weights), fused, or a model: a name from 'engine models list' or a folder.",
    )
    seed: int = Field(
        0, ge=0, description="From it and the pair's name the angle is drawn that a full panorama is rolled by."
    )
    distractors: str | None = Field(
        None,
        description="CSV of further overhead images (columns overhead or file, and gsd_m) that are no pair's: they "
        "stand in every gallery.",
    )
    sun: bool = Field(
        True,
        description="Let fused see where the sun stands in panoramas: it speaks for headings where the list tells the "
        "latitude (lat).",
    )
    device: str = Field("auto", description="auto, cpu, cuda, cuda:N or mps.")
