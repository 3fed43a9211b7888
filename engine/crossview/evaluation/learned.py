"""A cross-view network, as an evaluation asks it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.describer import GroundView, VectorQuery
from engine.crossview.evaluation.geometric import ASSUMED_GSD_M
from engine.crossview.learned_describer import LearnedDescriber
from engine.device import Device
from engine.panorama.view import PanoramaView


class Learned:
    """:class:`engine.crossview.learned_describer.LearnedDescriber`, asked as ``engine locate`` asks it: no heading
    is known, so a model that was trained with north in the middle is asked for several."""

    def __init__(self, model: str, device: Device) -> None:
        self._describer = LearnedDescriber.load(model, device=device, precision="float32")
        self.name = self._describer.model.name
        self.rings = self._describer.rings

    def describe(self) -> dict[str, Any]:
        """Name and sha256 of the weights."""
        return {"name": self.name, "sha256": self._describer.model.sha256}

    def query(self, pixels: Tensor, view: PanoramaView, latitude: float | None = None) -> VectorQuery:
        """Embeddings of the photo; the latitude plays no part."""
        return self._describer.query(GroundView(pixels, view, heading_known=False))

    def entry(self, pixels: Tensor, gsd_m: float | None) -> NDArray[np.float32]:
        """(scales, dim) embeddings, one for each scale that is tried."""
        image = pixels[None].float() / 255.0
        scales = ASSUMED_GSD_M if gsd_m is None else (gsd_m,)
        return np.concatenate([self._describer.describe(image, scale) for scale in scales])

    def table(
        self, queries: Sequence[VectorQuery], entries: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """Cosine of the best scale of each entry; headings where the model tells them."""
        codes = self._describer.ready(np.concatenate(list(entries)))
        parts = list(pairwise(np.cumsum([0, *(len(entry) for entry in entries)]).tolist()))
        scores = np.empty((len(queries), len(entries)))
        headings = np.full_like(scores, np.nan)
        for row, query in enumerate(queries):
            (found,), turned = self._describer.scores([query], codes, 0.0)
            for column, (start, stop) in enumerate(parts):
                best = start + int(np.argmax(found[start:stop]))
                scores[row, column] = found[best]
                if turned is not None:
                    headings[row, column] = turned[0, best]
        return scores, headings if np.isfinite(headings).all() else None
