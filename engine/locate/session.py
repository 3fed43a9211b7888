"""A search made ready: index, method, photos, verification, structure. What search and evaluation have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.crossview.cells import CellLayout
from engine.crossview.crops import Cropper
from engine.crossview.imagery import Stretch
from engine.crossview.index.card import ImageryFacts
from engine.crossview.index.reader import CellIndex
from engine.crossview.patchwork import Patchwork
from engine.crossview.reference import Reference, open_reference
from engine.crossview.resolution import COARSER
from engine.crossview.search.calibration import Calibration
from engine.crossview.search.searcher import Searcher
from engine.crossview.search.structures import Choice, choose
from engine.crossview.search.tables import calibration_for
from engine.crossview.search.verifying import Verifier
from engine.device import Device, choose_device
from engine.errors import EngineError
from engine.events import Reporter
from engine.locate import methods, structure_files
from engine.locate.requests import PhotosRequest


@dataclass(frozen=True)
class Session:
    """``searcher`` is ready; ``references`` are open, fewer than the index has where imagery cannot be read; ``choice``
    how the nearest are found; ``verifier`` None where nothing is turned over the imagery."""

    index: CellIndex
    searcher: Searcher
    method: methods.SearchMethod
    calibration: Calibration
    choice: Choice
    references: tuple[Reference, ...]
    device: Device
    verifier: Verifier | None

    def cropper(self, side: int) -> Patchwork | None:
        """Cuts crops of ``side`` pixels from all imagery that can be read; None without any."""
        return _cropper(self.references, side) if self.references else None


@contextmanager
def open_session(
    request: PhotosRequest, reporter: Reporter, *, tolerance_deg: float, exact: bool = False
) -> Iterator[Session]:
    """Everything that a search needs; ``exact``: no approximate structure whatever was asked. Raises EngineError."""
    index = CellIndex(Path(request.index).expanduser())
    device = choose_device(request.device)
    method = methods.search_method(
        index.card, request.method, device=device, verify=request.verify > 0, tolerance_deg=tolerance_deg
    )
    facts = index.layer(method.primary.layer)
    rows = index.cells * len(facts.scales_m)
    choice = choose(rows, "exact" if exact else request.search, linear=facts.linear)
    structure = structure_files.structure_of(index, facts, choice.kind, reporter) if choice.kind != "exact" else None
    with ExitStack() as stack:
        references = _references(request, index, stack, reporter)
        verifier = None
        if references and method.verifying is not None:
            verifier = _verifier(method, references, index, own=request.reference is None)
            if verifier is None:
                reporter.warn("The imagery is too coarse to verify candidates by turning views over it.")
        calibration = calibration_for(
            method.primary.layer,
            starter=methods.is_starter(method.primary),
            verified=None if verifier is None else method.verified_by,
        ).believing(request.inside)
        if not calibration.fitted:
            reporter.warn(
                f"The probabilities and the verdict are not calibrated ({calibration.source}): trust the order only."
            )
        if calibration.match_at >= 1:
            reporter.warn(
                "No candidate is verified over the imagery: which photos were taken in the region cannot be told, so "
                "none is called found."
            )
        searcher = Searcher(
            index,
            method.primary,
            calibration,
            verifier=verifier,
            verifying=method.verifying,
            structure=structure,
        )
        yield Session(index, searcher, method, calibration, choice, references, device, verifier)


def _references(
    request: PhotosRequest, index: CellIndex, stack: ExitStack, reporter: Reporter
) -> tuple[Reference, ...]:
    """The imagery that was asked for, or all that the index was made from, each file once; ``stack`` closes it."""
    west, south, east, north = index.card.extent
    place = ((west + east) / 2, (south + north) / 2)
    imagery = {one.path: one for one in index.card.imagery}
    if request.reference is not None:
        imagery = {request.reference: index.card.imagery[0]}
    references = []
    for path, facts in imagery.items():
        opened = _opened(path, facts, request, place, (192 << 20) // len(imagery), reporter)
        if opened is not None:
            stack.callback(opened.raster.close)
            references.append(opened)
    return tuple(references)


def _opened(
    path: str,
    facts: ImageryFacts,
    request: PhotosRequest,
    place: tuple[float, float],
    budget_bytes: int,
    reporter: Reporter,
) -> Reference | None:
    """None, and a warning, where an index's own imagery cannot be read."""
    stretch = Stretch(*facts.stretch)
    try:
        return open_reference(
            path, request, finest_m=facts.gsd_m, place=place, budget_bytes=budget_bytes, stretch=stretch
        )
    except EngineError as error:
        if request.reference is not None:
            raise
        reporter.warn(
            f"The index's imagery cannot be read, so candidates there are neither verified nor shown: {error.message}"
        )
        return None


def _cropper(references: tuple[Reference, ...], side: int) -> Patchwork:
    return Patchwork([Cropper(one.imagery, side=side) for one in references])


def _verifier(
    method: methods.SearchMethod, references: tuple[Reference, ...], index: CellIndex, *, own: bool
) -> Verifier | None:
    """None where the imagery is too coarse; ``own``: the references are what the index was made from."""
    verifying = method.verifying
    if verifying is None:
        return None
    cropper = _cropper(references, verifying.side)
    west, south, east, north = index.card.extent
    gsd = cropper.gsd_m((west + east) / 2, (south + north) / 2)
    scales = [scale for scale in sorted(verifying.scales_m) if gsd <= scale * COARSER]
    if not scales:
        return None
    layer, scale, kept = index.card.layer(verifying.layer), scales[0], None
    if own and layer is not None and layer.dim == verifying.dim and scale in layer.scales_m:
        number = layer.scales_m.index(scale)

        def kept(cells: NDArray[np.int64]) -> NDArray[Any]:
            return index.take(verifying.layer, cells)[:, number]

    return Verifier(verifying, cropper, CellLayout(index.card.cell_m), scale, kept=kept)
