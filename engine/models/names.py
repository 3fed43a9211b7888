"""Names of the encoders, for those who check a name without loading torch."""

from __future__ import annotations

from typing import Literal

EncoderName = Literal["resnet18", "resnet34", "resnet50"]
