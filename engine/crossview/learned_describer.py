"""Cells and photos described by a cross-view network; they are compared by the cosine of their embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.describer import GroundView, Scores, VectorQuery
from engine.crossview.headings import likeliest
from engine.crossview.index.card import ModelFacts
from engine.crossview.wants import learned_scales_m
from engine.device import Device
from engine.errors import ModelError
from engine.models.crossview_bundle import CrossViewModel, load_crossview

HEADINGS = 16
"""Headings that are tried where a model was trained with north in the middle and the photo's heading is not known."""


class LearnedDescriber:
    """The describer of ``model`` on ``device``."""

    layer = "learned"
    linear = True
    one_scale = False

    def __init__(self, model: CrossViewModel, device: Device, *, precision: str = "float16") -> None:
        self._network = model.network.eval().to(device.torch)
        self.rings = self._network.rings
        """What candidates are verified by, where the model has it."""
        self._model, self._device, self.dtype = model, device.torch, precision
        overhead = model.inputs.overhead
        rows, columns = overhead.size
        if rows != columns:
            raise ModelError(
                f"{model.folder}: the model takes overhead images of {rows} x {columns}; expected squares."
            )
        self.side, self.dim = int(rows), int(model.network.dim)
        self.scales_m = learned_scales_m(overhead.extent_m, self.side)
        self.model = ModelFacts(name=model.card.name, sha256=model.embedding_sha256)
        self.bundle_sha256 = model.card.weights_sha256
        self._fits = overhead.extent_m is None, overhead.extent_m
        self._mean = torch.tensor(overhead.mean, device=self._device)[:, None, None]
        self._std = torch.tensor(overhead.std, device=self._device)[:, None, None]

    def described(self, made_by: ModelFacts | None) -> bool:
        """See :class:`engine.crossview.describer.Describer`. Cards of earlier versions tell the digest of the whole
        bundle."""
        return made_by in (self.model, self.model.model_copy(update={"sha256": self.bundle_sha256}))

    @classmethod
    def load(cls, name: str, *, device: Device, precision: str = "float16") -> LearnedDescriber:
        """The describer of the model of that name or in that folder; raises ModelError."""
        return cls(load_crossview(name), device, precision=precision)

    def describe(self, pixels: Tensor, gsd_m: float) -> NDArray[Any]:
        """See :class:`engine.crossview.describer.Describer`; raises ModelError for embeddings that are not finite."""
        pixels = pixels.to(self._device)
        anything, extent = self._fits
        with torch.inference_mode():
            if pixels.shape[-1] == self.side and (anything or abs(gsd_m * self.side - (extent or 0)) < 1e-3):
                inputs = (pixels - self._mean) / self._std
            else:
                inputs = self._model.prepare_overhead(pixels, gsd_m)
            found = self._network.overhead(inputs).float().cpu().numpy()
        return np.asarray(_finite(found, self.model.name).astype(self.dtype))

    def query(self, image: GroundView) -> VectorQuery:
        """See :class:`engine.crossview.describer.Describer`. With an unknown heading, a model that knows north is asked
        for 16 of them."""
        north = self._model.inputs.ground.heading == "north"
        headings = [image.view.heading_deg]
        if north and not image.heading_known:
            headings = [360.0 * k / HEADINGS for k in range(HEADINGS)]
        views = [replace(image.view, heading_deg=heading) for heading in headings]
        with torch.inference_mode():
            inputs = self._model.prepare_ground(image.pixels[None].expand(len(views), -1, -1, -1), views)
            found = self._network.ground(inputs.to(self._device)).float().cpu().numpy()
        vectors = _finite(found, self.model.name)
        return VectorQuery(vectors, np.array(headings, np.float32) if north else None)

    def ready(self, codes: NDArray[Any]) -> NDArray[Any]:
        """See :class:`engine.crossview.describer.Describer`."""
        return np.asarray(codes, np.float32)

    def scores(self, queries: Sequence[VectorQuery], ready: NDArray[Any], gsd_m: float) -> tuple[Scores, Scores | None]:
        """See :class:`engine.crossview.describer.Describer`."""
        found = [_best(torch.from_numpy(ready @ query.vectors.T), query.headings) for query in queries]
        headings = [one for _, one in found if one is not None]
        return np.stack([one for one, _ in found]), np.stack(headings) if headings else None


def _best(table: Tensor, headings: NDArray[np.float32] | None) -> tuple[Scores, Scores | None]:
    """The best of each row of ``table`` (N, vectors), and its heading where vectors have one."""
    if headings is None:
        return table.amax(dim=1).numpy(), None
    scores, turned = likeliest(table, torch.from_numpy(headings))
    return scores.numpy(), turned.numpy()


def _finite(found: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    if not np.isfinite(found).all():
        raise ModelError(
            f"{name}: the model gives embeddings that are not finite.", remedy="Use another model; this one is broken."
        )
    return found
