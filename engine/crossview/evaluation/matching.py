"""What a method of matching must do to be evaluated, and which name means which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from engine.crossview.wants import AUTO, FUSED, GEOMETRIC, STARTER, resolved
from engine.device import Device
from engine.errors import ModelError
from engine.panorama.view import PanoramaView


class Matcher(Protocol):
    """A method: it sees one panorama or one overhead image at a time, and keeps what is small."""

    name: str

    def describe(self) -> dict[str, Any]:
        """What result files say of it: name, and sha256 of the weights where there are any."""

    def query(self, pixels: Tensor, view: PanoramaView, latitude: float | None = None) -> Any:
        """Of a panorama (3, H, W) uint8 whose heading is not known (0 in ``view``), taken in a region at ``latitude``
        (None: not known)."""

    def entry(self, pixels: Tensor, gsd_m: float | None) -> Any:
        """Of an overhead image (3, S, S) uint8, north up, camera in its middle; ``gsd_m`` None where not known."""

    def table(
        self, queries: Sequence[Any], entries: Sequence[Any]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
        """(N, M) scores, the higher the better, and (N, M) compass headings of the panoramas' centres or None. The row
        of a query depends on that query and the entries alone."""


def find_matcher(method: str, device: Device, *, sun: bool = True) -> Matcher:
    """The method or model of that name; ``auto`` is fused where the starter model is installed, else geometric.
    ``sun``: fused asks the sun for headings.

    Raises ModelError for one that is not known, damaged or of another task.
    """
    from engine.crossview.evaluation.geometric import Geometric

    method = resolved(method)
    if method == GEOMETRIC:
        return Geometric(device)
    if method == FUSED:
        if resolved(AUTO) != FUSED:
            raise ModelError(
                f"The method fused joins the starter model {STARTER!r} with geometric, and no such model is installed.",
                remedy="Use geometric, or the name or folder of a model.",
            )
        from engine.crossview.evaluation.fused import Fused

        return Fused(STARTER, device, sun=sun)
    from engine.crossview.evaluation.learned import Learned

    return Learned(method, device)
