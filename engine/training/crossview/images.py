"""The images of a run in the frames of its network, read when they are asked for and kept while there is room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from engine.crossview.data.items import CrossViewSet
from engine.errors import DamagedFileError
from engine.models.crossview_inputs import GroundFrame, OverheadFrame
from engine.panorama.birdseye import birds_eye
from engine.panorama.view import PanoramaView
from engine.training.rng import derive_seed

MOST_COLUMNS = 2048
"""A panorama of more columns is read smaller where its format can: frames and bird's-eye views need no more."""


@dataclass(frozen=True)
class Framing:
    """How images are brought to the network: the whole way round (``ground``), from above, and bird's-eye views from
    ``camera_height_m`` at the scale of the tiles, ``half_width_m`` from the middle to an edge. ``assumed``: a seed; a
    panorama whose heading is not used is then taken to look any way, drawn once for it, so that what lies ahead of a
    network says nothing of how cameras are held."""

    ground: GroundFrame
    overhead: OverheadFrame
    half_width_m: float
    camera_height_m: float
    use_heading: bool = True
    assumed: int | None = None


class FrameStore:
    """Images of ``data`` as uint8 (4, rows, columns): red, green, blue, and 255 where something is shown.

    Safe to be asked by several threads. ``most_bytes`` bounds what is kept; the rest is read anew each time.
    """

    def __init__(self, data: CrossViewSet, framing: Framing, *, most_bytes: int) -> None:
        self.data, self.framing = data, framing
        self._most, self._held = most_bytes, 0
        self._kept: dict[tuple[str, int], Tensor] = {}
        self._lock = Lock()

    def ground(self, indices: Sequence[int]) -> Tensor:
        """(n, 4, rows, columns): panoramas, the middle looking north where the heading is known and used."""
        return torch.stack([self._get("ground", int(i)) for i in indices])

    def overhead(self, indices: Sequence[int]) -> Tensor:
        """(n, 4, side, side): tiles, north up."""
        return torch.stack([self._get("overhead", int(i)) for i in indices])

    def birds_eye(self, indices: Sequence[int]) -> Tensor:
        """(n, 4, side, side): bird's-eye views of panoramas, up where the middle of :meth:`ground` looks."""
        return torch.stack([self._get("birds_eye", int(i)) for i in indices])

    def view(self, index: int) -> PanoramaView:
        """Of a panorama; its heading is the data's where that is used, else what is taken for it: 0, or drawn."""
        item = self.data.grounds[index]
        if self.framing.use_heading:
            return item.view
        drawn = 0.0
        if self.framing.assumed is not None:
            drawn = derive_seed(self.framing.assumed, "looks", index) % 3600 / 10
        return replace(item.view, heading_deg=drawn)

    def _get(self, kind: str, index: int) -> Tensor:
        found = self._kept.get((kind, index))
        if found is not None:
            return found
        made = getattr(self, f"_make_{kind}")(index)
        with self._lock:
            if (kind, index) not in self._kept and self._held + made.numel() <= self._most:
                self._kept[kind, index] = made
                self._held += made.numel()
        return made

    def _make_ground(self, index: int) -> Tensor:
        item = self.data.grounds[index]
        return _bytes(
            *self.framing.ground.put(read_image(item.file, most_columns=MOST_COLUMNS)[None], self.view(index))
        )

    def _make_overhead(self, index: int) -> Tensor:
        item = self.data.overheads[index]
        return _bytes(*self.framing.overhead.put(read_image(item.file)[None], item.gsd_m))

    def _make_birds_eye(self, index: int) -> Tensor:
        item = self.data.grounds[index]
        pixels = read_image(item.file, most_columns=MOST_COLUMNS)[None].float() / 255
        side = self.framing.overhead.size[0]
        seen, mask = birds_eye(
            pixels,
            self.view(index),
            side=side,
            half_width_m=self.framing.half_width_m,
            camera_height_m=self.framing.camera_height_m,
        )
        return _bytes(seen, mask)


def read_image(path: Path, *, most_columns: int | None = None) -> Tensor:
    """A picture file as (3, rows, columns) uint8; one with more than ``most_columns`` is read at a half, a quarter or
    an eighth where its format can. Raises DamagedFileError with one line that names the file."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if most_columns is not None and image.width > most_columns:
                image.draft("RGB", (most_columns, max(1, image.height * most_columns // image.width)))
            pixels = np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise DamagedFileError(
            f"{path}: the image cannot be read ({why}).", remedy="Copy it again, or take its line out of the list."
        ) from error
    return torch.from_numpy(pixels).movedim(2, 0).contiguous()


def image_size(path: Path) -> tuple[int, int]:
    """(rows, columns) of a picture file, from its header. Raises DamagedFileError."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return image.height, image.width
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise DamagedFileError(f"{path}: the image cannot be read ({error}).", remedy="Copy it again.") from error


def _bytes(images: Tensor, mask: Tensor) -> Tensor:
    pixels = (images[0] * 255).round().clamp(0, 255).to(torch.uint8)
    return torch.cat([pixels, mask[0].to(torch.uint8) * 255])
