"""Number types of training: what autocast computes in, chosen by the device."""

from __future__ import annotations

import contextlib
from typing import Literal

import torch

from engine.device import Device, has_bfloat16

Precision = Literal["auto", "fp32", "bf16", "fp16"]


def choose_precision(asked: Precision, device: Device) -> Literal["fp32", "bf16", "fp16"]:
    """``asked``, or for "auto": on CUDA bf16 where the hardware has it, else fp16; fp32 on processors (so that runs are
    the same everywhere) and on Apple GPUs."""
    if asked != "auto":
        return asked
    if device.kind == "cuda":
        return "bf16" if has_bfloat16(device) else "fp16"
    return "fp32"


def autocast(precision: str, device: Device) -> contextlib.AbstractContextManager[object]:
    """The context in which forward passes run."""
    if precision == "fp32":
        return contextlib.nullcontext()
    return torch.autocast(device.kind, dtype=torch.bfloat16 if precision == "bf16" else torch.float16)
