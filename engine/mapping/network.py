"""A network made ready to run on a device: layout, folded normalisations, and a precision that was proven."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn

from engine.device import Device, has_bfloat16
from engine.errors import ModelError
from engine.mapping.background import Stopped
from engine.models.segmenter import fuse_batch_norm

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Activation = Literal["none", "sigmoid", "softmax"]

# Reduced precision is used when, over the first tiles, at most one pixel in 200 changes its class and the mean
# probability moves by at most half a per cent and that of 999 pixels in 1000 by at most five.
AGREEMENT = 0.995
MEAN_SHIFT = 0.005
TAIL_SHIFT = 0.05


class PreparedNetwork:
    """``network`` on ``device``, for inference: normalisations folded, channels last where there are kernels for it.

    ``precision`` "auto" takes bfloat16 where the device has it in hardware and the first batches prove it equal
    enough to float32 (:data:`AGREEMENT`, :data:`MEAN_SHIFT`, :data:`TAIL_SHIFT`), else float32; :attr:`precision` and
    :attr:`reason` say what was taken and why. ``network`` itself is not changed.
    """

    PROOFS = 2

    def __init__(
        self, network: nn.Module, *, device: Device, precision: Precision = "auto", activation: Activation = "none"
    ) -> None:
        self.original, self.device, self.activation = network, device, activation
        self._torch_device = device.torch
        prepared = fuse_batch_norm(network).to(self._torch_device, torch.float32)
        convolutions = sum(isinstance(module, nn.Conv2d) for module in prepared.modules())
        # Measured on processors: 1.4 times as fast for a U-Net, 2 times for one 1 x 1 layer, never slower.
        self.layout = torch.contiguous_format if device.kind == "mps" else torch.channels_last
        self._network = prepared.to(memory_format=self.layout)  # type: ignore[call-overload]
        self._proofs_left = 0
        self._dtype: torch.dtype | None = None
        if precision == "auto":
            if convolutions > 1 and has_bfloat16(device):
                self._dtype, self._proofs_left = torch.bfloat16, self.PROOFS
                self.reason = "not proven yet"
            else:
                self.reason = "one layer gains nothing" if convolutions <= 1 else "no bfloat16 in hardware"
        else:
            self.reason = "as asked"
            self._dtype = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}[precision]

    @property
    def precision(self) -> str:
        """``float32``, ``bfloat16`` or ``float16``."""
        return "float32" if self._dtype is None else str(self._dtype).removeprefix("torch.")

    @contextlib.contextmanager
    def running(self, stop: threading.Event) -> Iterator[None]:
        """Around the calls of one run: a set ``stop`` ends a forward pass between two layers, not after the last."""

        def check(*_: object) -> None:
            if stop.is_set():
                raise Stopped

        leaves = [module for module in self._network.modules() if not list(module.children())]
        hooks = [module.register_forward_pre_hook(check) for module in leaves]
        try:
            with torch.inference_mode():
                yield
        finally:
            for hook in hooks:
                hook.remove()

    def forward(self, batch: Tensor, *, prove: bool = True) -> Tensor:
        """(batch, bands, rows, columns) float32 on the device → (batch, classes, rows, columns) logits of some float.

        ``prove`` False keeps a batch without real values out of the proof of the precision. Raises ModelError when
        the network refuses the input or answers another size; what :func:`out_of_memory` knows passes as it is.
        """
        try:
            if self._proofs_left and prove:
                return self._prove(batch)
            return self._checked(self._run(batch, self._dtype), batch)
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            raise ModelError(
                f"The network failed on an input of {tuple(batch.shape)} on {self.device}: {error}."
            ) from error

    def _run(self, batch: Tensor, dtype: torch.dtype | None) -> Tensor:
        if dtype is None:
            exact: Tensor = self._network(batch)
            return exact
        with torch.autocast(self._torch_device.type, dtype=dtype):
            logits: Tensor = self._network(batch)
        return logits

    @staticmethod
    def _checked(logits: Tensor, batch: Tensor) -> Tensor:
        if logits.ndim != 4 or logits.shape[0] != batch.shape[0] or logits.shape[2:] != batch.shape[2:]:
            raise ModelError(
                f"The network gives {tuple(logits.shape)} for an input of {tuple(batch.shape)}; expected one value "
                "per class and pixel at the input's size."
            )
        return logits

    def _prove(self, batch: Tensor) -> Tensor:
        exact = self._checked(self._run(batch, None), batch)
        reduced = self._checked(self._run(batch, self._dtype), batch)
        self._proofs_left -= 1
        agreement, mean, tail = compare_logits(exact, reduced, activation=self.activation)
        measured = f"{agreement:.2%} of pixels keep their class, probabilities move by {mean:.2%} on average"
        if agreement < AGREEMENT or mean > MEAN_SHIFT or tail > TAIL_SHIFT:
            self.reason = f"{self.precision} is not equal enough: {measured}, by {tail:.1%} at the 99.9th percentile"
            self._dtype, self._proofs_left = None, 0
        else:
            self.reason = f"equal enough: {measured}"
        return exact


def out_of_memory(error: RuntimeError) -> bool:
    """True for torch's errors of a GPU or a processor that has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def compare_logits(exact: Tensor, reduced: Tensor, *, activation: Activation) -> tuple[float, float, float]:
    """How far two answers (batch, classes, rows, columns) are apart.

    Returns the share of pixels with the same class (largest logit; for one class or a sigmoid the same side of 0.5),
    the mean and the 99.9th percentile of the absolute difference of probabilities. Not-a-number in ``reduced`` counts
    as a different class and a difference of 1.
    """
    exact, reduced = exact.float(), reduced.float()
    bad = ~torch.isfinite(reduced).all(dim=1)
    if activation == "sigmoid" or exact.shape[1] == 1:
        same = ((exact > 0) == (reduced > 0)).all(dim=1)
        shift = (torch.sigmoid(exact) - torch.sigmoid(reduced)).abs().amax(dim=1)
    else:
        same = exact.argmax(dim=1) == reduced.argmax(dim=1)
        shift = (torch.softmax(exact, 1) - torch.softmax(reduced, 1)).abs().amax(dim=1)
    shift = torch.where(bad, torch.ones_like(shift), shift).flatten()
    rank = max(1, round(shift.numel() * 0.999))
    tail = float(shift.cpu().kthvalue(rank).values)
    return float((same & ~bad).double().mean()), float(shift.double().mean()), tail


def activate(logits: Tensor, *, activation: Activation, temperature: float) -> Tensor:
    """New float32 array of (classes, rows, columns): logits / temperature, through sigmoid or softmax over classes."""
    if activation == "none":
        return logits / temperature if temperature != 1.0 else logits.clone()
    scaled = logits / temperature if temperature != 1.0 else logits
    return torch.sigmoid(scaled) if activation == "sigmoid" else torch.softmax(scaled, dim=0)
