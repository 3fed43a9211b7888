"""Names of the encoders, for those who check a name without loading torch."""

from __future__ import annotations

from typing import Literal

EncoderName = Literal["resnet18", "resnet34", "resnet50"]
ConvNextName = Literal["convnext_tiny", "convnext_small", "convnext_base"]
PhotoEncoderName = Literal["resnet18", "resnet34", "resnet50", "convnext_tiny", "convnext_small", "convnext_base"]
"""Encoders that describe a whole image: decoders need the strides of a ResNet, these do not."""
