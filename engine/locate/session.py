"""A search made ready: index, method, photos, verification, structure. What search and evaluation have in common."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.crossview.cells import CellLayout
from engine.crossview.crops import Cropper
from engine.crossview.imagery import Stretch
from engine.crossview.index.reader import CellIndex
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
    """``searcher`` is ready; ``reference`` is open, or None where the imagery cannot be read; ``choice`` how the
    nearest are found; ``verifier`` None where nothing is turned over the imagery."""

    index: CellIndex
    searcher: Searcher
    method: methods.SearchMethod
    calibration: Calibration
    choice: Choice
    reference: Reference | None
    device: Device
    verifier: Verifier | None


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
    calibration = calibration_for(method.primary.layer, starter=methods.is_starter(method.primary.model))
    calibration = calibration.believing(request.inside)
    if not calibration.fitted:
        reporter.warn(
            f"The probabilities and the verdict are not calibrated ({calibration.source}): trust the order only."
        )
    reference = _reference(request, index, reporter)
    try:
        verifier = None
        if reference is not None and method.verifying is not None:
            verifier = _verifier(method, reference, index)
            if verifier is None:
                reporter.warn("The imagery is too coarse to verify candidates by turning views over it.")
        searcher = Searcher(
            index,
            method.primary,
            calibration,
            verifier=verifier,
            verifying=method.verifying,
            structure=structure,
        )
        yield Session(index, searcher, method, calibration, choice, reference, device, verifier)
    finally:
        if reference is not None:
            reference.raster.close()


def _reference(request: PhotosRequest, index: CellIndex, reporter: Reporter) -> Reference | None:
    imagery = index.card.imagery[0]
    path = request.reference or imagery.path
    west, south, east, north = index.card.extent
    try:
        return open_reference(
            path,
            request,
            finest_m=imagery.gsd_m,
            place=((west + east) / 2, (south + north) / 2),
            budget_bytes=192 << 20,
            stretch=Stretch(*imagery.stretch),
        )
    except EngineError as error:
        if request.reference is not None:
            raise
        reporter.warn(
            f"The index's imagery cannot be read, so candidates are neither verified nor shown: {error.message}"
        )
        return None


def _verifier(method: methods.SearchMethod, reference: Reference, index: CellIndex) -> Verifier | None:
    verifying = method.verifying
    if verifying is None:
        return None
    cropper = Cropper(reference.imagery, side=verifying.side)
    west, south, east, north = index.card.extent
    gsd = cropper.gsd_m((west + east) / 2, (south + north) / 2)
    scales = [scale for scale in sorted(verifying.scales_m) if gsd <= scale * COARSER]
    return Verifier(verifying, cropper, CellLayout(index.card.cell_m), scales[0]) if scales else None
