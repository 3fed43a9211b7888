"""A network made ready to run on a device: layout, folded normalisations, and a precision that was proven."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from engine.device import Device, has_bfloat16
from engine.errors import ModelError
from engine.mapping.background import Stopped
from engine.mapping.fresh import fresh
from engine.mapping.precision import Activation, Judged, Proof, proof_of
from engine.models.memory_format import layout_on
from engine.models.segmenter import fuse_batch_norm

Precision = Literal["auto", "float32", "bfloat16", "float16"]


class PreparedNetwork:
    """``network`` on ``device``, for inference: normalisations folded, channels last where there are kernels for it.

    ``precision`` "auto" takes bfloat16 where the device has it in hardware and the first batches prove it equal
    enough to float32 for what their answer becomes (``judged``: :mod:`engine.mapping.precision`), else float32; a scene
    may begin with nothing but sea, so the proof goes on at the 4th, 8th, 16th … batch, and once it fails the rest is
    float32. :attr:`precision` and :attr:`reason` say what was taken and why. ``network`` itself is not changed.
    """

    PROOFS = 2
    PROOF_PIXELS = 1 << 16
    """The first batches are compared until so many pixels that count were seen (and :data:`PROOFS` batches at least);
    of later ones as many tiles as hold so many pixels."""

    def __init__(
        self,
        network: nn.Module,
        *,
        device: Device,
        precision: Precision = "auto",
        activation: Activation = "none",
        judged: Judged = "probabilities",
        temperature: float = 1.0,
    ) -> None:
        self.original, self.device = network, device
        self._torch_device = device.torch
        prepared = fuse_batch_norm(network).to(self._torch_device, torch.float32)
        convolutions = sum(isinstance(module, nn.Conv2d) for module in prepared.modules())
        # Forward alone, on processors: 1.4 times as fast for a U-Net, 2 times for one 1 x 1 layer, never slower.
        self.layout = layout_on(device.kind)
        self._network = prepared.to(memory_format=self.layout)  # type: ignore[call-overload]
        self._proof: Proof | None = None
        self._batches, self._next_proof, self._settled = 0, 1, False
        self._dtype: torch.dtype | None = None
        if precision == "auto":
            if convolutions > 1 and has_bfloat16(device):
                self._dtype = torch.bfloat16
                self._proof = proof_of(judged, activation=activation, temperature=temperature)
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

    @property
    def proving(self) -> bool:
        """Will the next batch be compared?"""
        return self._proof is not None and self._batches + 1 >= self._next_proof

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

    def forward(self, batch: Tensor, *, counts: Tensor | None = None, prove: bool = True) -> Tensor:
        """(batch, bands, rows, columns) float32 on the device → (batch, classes, rows, columns) logits of some float.

        ``counts`` is bool (batch, rows, columns), False where nobody will see the answer: such pixels prove nothing
        about the precision (None: all count). ``prove`` False keeps a batch without real values out of the proof.
        Raises ModelError when the network refuses the input or answers another size; what :func:`out_of_memory` knows
        passes as it is.
        """
        try:
            if self._proof is not None and prove:
                self._batches += 1
                if self._batches >= self._next_proof:
                    return self._prove(batch, self._proof, counts)
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

    def _prove(self, batch: Tensor, proof: Proof, counts: Tensor | None) -> Tensor:
        """The answer, the compared part of it in float32: the first batches whole, later a sample of their tiles."""
        logits = self._checked(self._run(batch, self._dtype), batch)
        tiles = list(range(batch.shape[0]))
        if self._settled:
            if counts is not None:
                shown = counts.flatten(1).sum(dim=1)
                tiles.sort(key=lambda tile: -int(shown[tile]))
            tiles = tiles[: -(-self.PROOF_PIXELS // (batch.shape[2] * batch.shape[3]))]
        chosen = torch.tensor(tiles, device=batch.device)
        exact = self._checked(self._run(batch[chosen].contiguous(memory_format=self.layout), None), batch[chosen])
        proof.add(exact, logits[chosen], None if counts is None else counts[chosen])
        if not proof.holds:
            self.reason = f"{self.precision} is not equal enough: {proof.measured}"
            self._dtype, self._proof = None, None
            return exact if len(tiles) == batch.shape[0] else self._checked(self._run(batch, None), batch)
        self.reason = f"equal enough: {proof.measured}"
        if self._batches >= self.PROOFS and proof.pixels >= self.PROOF_PIXELS:
            self._settled, self._next_proof = True, 2 * self._batches
        logits = logits.float()
        logits[chosen] = exact
        return logits


def out_of_memory(error: RuntimeError) -> bool:
    """True for torch's errors of a GPU or a processor that has no memory left."""
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def activate(
    logits: Tensor,
    *,
    activation: Activation,
    temperature: float,
    missing: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """float32 array of (classes, rows, columns): logits / temperature, through sigmoid or softmax over classes; NaN in
    every class where ``missing`` (rows, columns). ``out``: where to; a new array by default."""
    scaled = fresh(logits.shape, device=logits.device) if out is None else out
    # One plane added to all classes: filling them under a mask takes six times as long.
    hole = None if missing is None else torch.zeros((), device=logits.device).masked_fill(missing, float("nan"))
    _divide(logits, temperature, hole, scaled)
    if activation == "none":
        return scaled
    return scaled.sigmoid_() if activation == "sigmoid" else torch.softmax(scaled, dim=0, out=scaled)


def _divide(logits: Tensor, divisor: float, hole: Tensor | None, out: Tensor) -> None:
    """``out`` (classes, rows, columns) becomes logits / divisor + hole (rows, columns)."""
    if logits.device.type != "cpu" or logits.stride(2) == 1:
        torch.div(logits, divisor, out=out)
        if hole is not None:
            out.add_(hole)
        return
    # Row by row, so that turning the classes outwards stays in the cache: a third of the time.
    for row in range(logits.shape[1]):
        target = out[:, row].numpy()
        np.divide(logits[:, row].numpy(), np.float32(divisor), out=target)
        if hole is not None:
            target += hole[row].numpy()
