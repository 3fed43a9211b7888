"""The job ``landcover-change``: what became of what between two land-cover maps."""

from __future__ import annotations

import math
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from engine.command_line import command_line
from engine.errors import GridError, ParameterError
from engine.events import Reporter
from engine.legends import NOT_OBSERVED
from engine.mapping.flood.components import KeptComponents, StripComponents
from engine.mapping.landcover.change_request import LandcoverChangeRequest
from engine.mapping.landcover.change_zones import ChangeZones
from engine.mapping.landcover.common_legend import CommonLegend, common_legend
from engine.mapping.landcover.map_pair import MapPair
from engine.mapping.landcover.transitions import NOT_COMPARABLE, ChangeSums, TransitionCodes
from engine.mapping.report.change import write_change_report
from engine.mapping.report.tables import write_csv
from engine.mapping.scene.facts import iso_time
from engine.mapping.scene.spool import RowSpool
from engine.outputs import ResultFolder
from engine.provenance import fingerprint
from engine.raster.grid import Grid, Window
from engine.raster.vector import Regions, read_regions, write_layer
from engine.raster.write import CogWriter
from engine.result import REPORT, RESULT, job_result, keep
from engine.version import VERSION

U8 = NDArray[np.uint8]
_PREVIEW = 900
_NOTE = (
    "A comparison of two maps has the errors of both: much of what seems to change may be confusion of classes. "
    "'engine assess sample' on change.tif and 'engine assess report' tell how right it is, and the true area of change."
)


def run(request: LandcoverChangeRequest, reporter: Reporter) -> dict[str, Any]:
    """Compare two maps as ``request`` says and return ``result.json``'s content; raises EngineError."""
    started = time.monotonic()
    reporter.progress(0.0, "open", "Opening the maps")
    if request.zone_field and not request.zones:
        raise ParameterError("--zone-field is given without --zones.", remedy="Give the layer, or leave the field out.")
    with ResultFolder(request.out, overwrite=request.overwrite) as results:
        with MapPair(request.map_a, request.map_b, _region_of(request)) as pair:
            raw = _raw_sums(pair, reporter.part(0.02, 0.3))
            codes = tuple({int(c) for c in np.flatnonzero(raw.pixels.sum(axis=1 - k))} for k in (0, 1))
            legend = common_legend((pair.a, pair.b), (codes[0], codes[1]), request.legend)
            comparison = _Comparison(request, pair, legend, raw.mapped(legend.tables))
            with tempfile.TemporaryDirectory(dir=results.path, prefix=".work-") as work:
                comparison.compare(Path(work), reporter.part(0.3, 0.75))
                comparison.write(results.path, reporter.part(0.75, 0.92))
            _advise(pair, legend, comparison, reporter)
            figures = comparison.figures()
            files = {
                name: fingerprint(path, reporter.part(0.92, 0.96))
                for name, path in (("map_a", request.map_a), ("map_b", request.map_b), ("zones", request.zones))
                if path is not None
            }
            if request.aoi is not None:
                files["aoi"] = fingerprint(request.aoi, reporter)
        outputs = {"change": "change.tif", "layers": "change.gpkg", "matrix": "matrix.csv"}
        result = job_result(
            "landcover-change",
            request,
            command=command_line("landcover-change", request, positional=("map_a", "map_b")),
            outputs={**outputs, "report": REPORT, "result": RESULT},
            inputs=files,
            figures=figures,
            reporter=reporter,
            started=started,
        )
        reporter.progress(0.97, "report", "Writing the report")
        write_change_report(results.path / REPORT, result=result, pictures=comparison.pictures(), grid=comparison.small)
        return keep(results, result, reporter)


class _Comparison:
    """The passes over a pair of maps, and what they gather."""

    def __init__(
        self, request: LandcoverChangeRequest, pair: MapPair, legend: CommonLegend, before: ChangeSums
    ) -> None:
        self._request, self._pair, self._legend, self._found = request, pair, legend, before
        if before.compared <= 0:
            raise GridError(
                f"{pair.a.path} and {pair.b.path} have no place where both have a class.",
                remedy="Give two maps of one place, and check what they hold.",
            )
        self.sums = ChangeSums()
        self.zones: ChangeZones | None = None
        if request.zones is not None:
            self.zones = ChangeZones(
                read_regions(
                    request.zones, crs=pair.grid.crs, what="zones", id_field=request.zone_field, grid=pair.grid
                ),
                pair.grid,
            )
        self.codes = TransitionCodes(before, legend.naming)
        grid = pair.grid
        self._step = max(1, math.ceil(max(grid.shape) / _PREVIEW))
        shape = math.ceil(grid.height / self._step), math.ceil(grid.width / self._step)
        self.small = Grid(*shape, grid.transform @ Affine.scale(self._step), grid.crs)
        self._small = [np.full(shape, 255, np.uint8) for _ in range(3)]

    def compare(self, folder: Path, reporter: Reporter) -> None:
        """Drop small patches, add up, and write the from-to raster to scratch rows in ``folder``."""
        pair, least = self._pair, self._request.min_area
        kept: KeptComponents | None = None
        height = pair.grid.height
        if least > 0:
            components = StripComponents()
            for window in pair.strips():
                one, other = self._classes(window)
                changed = _changed(one, other)
                components.add(changed, changed, pair.areas.of(window))
                reporter.progress(0.45 * window.row_stop / height, "patches", "Finding patches of change")
            kept = components.resolve(min_area=least)
        self._spool = RowSpool(pair.grid.width, folder)
        start = 0.45 if kept is not None else 0.0
        with self._spool:
            for index, window in enumerate(pair.strips()):
                one, other = self._classes(window)
                if kept is not None:
                    changed = _changed(one, other)
                    dropped = changed & ~kept.select(index, changed)
                    other[dropped] = one[dropped]
                areas = pair.areas.of(window)
                self.sums.add(one, other, areas)
                if self.zones is not None:
                    self.zones.add(window, one, other, areas)
                self._keep_small(window, one, other)
                self._spool.write(window, self.codes.of(one, other))
                share = start + (0.95 - start) * window.row_stop / height
                reporter.progress(share, "compare", "Comparing the maps")
            self._finish(folder, reporter)

    def _finish(self, folder: Path, reporter: Reporter) -> None:
        """change.tif with codes for the changes that are left, the largest first."""
        table = np.arange(256, dtype=np.uint8)
        if not self.codes.crowded:  # what shares a code cannot be told apart any more
            final = TransitionCodes(self.sums, self._legend.naming)
            for number, (a, b) in enumerate(self.codes.pairs, start=1):
                table[number] = final.table[a, b]
            self.codes = final
        final, grid = self.codes, self._pair.grid
        writer = CogWriter(
            folder.parent / "change.tif",
            grid,
            dtype="uint8",
            nodata=NOT_COMPARABLE,
            band_names=["change"],
            colors=final.colors,
            class_names=final.names,
            tags=self._tags(),
            overview_resampling="mode",
        )
        with writer:
            for window in self._pair.strips():
                writer.write(window, table[self._spool.read(window)])
                reporter.progress(0.95, "write", "Writing the from-to raster")

    def write(self, folder: Path, reporter: Reporter) -> None:
        """change.gpkg and matrix.csv."""
        reporter.progress(0.0, "tables", "Writing tables")
        naming = self._legend.naming
        rows = self.sums.rows(naming)
        path, crs = folder / "change.gpkg", self._pair.grid.crs
        if self.zones is not None:
            shapes = self.zones.zones.geometries
            write_layer(path, "zones", shapes, _columns(self.zones.rows(naming)), crs=crs, geometry_type="MultiPolygon")
            changes = self.zones.changes(naming)
            if changes:
                write_layer(path, "zone_changes", None, _columns(changes), crs=None)
        write_layer(path, "matrix", None, _columns(rows), crs=None)
        _write_csv(folder / "matrix.csv", rows)

    def figures(self) -> dict[str, Any]:
        """What ``result.json`` tells."""
        naming, sums = self._legend.naming, self.sums
        compared, total = sums.compared, float(sums.area.sum())
        rows = sums.rows(naming)
        by_pair = {(row["from_code"], row["to_code"]): row for row in rows}
        return {
            "legend": naming.legend.name if naming.legend else None,
            "observed_at_a": iso_time(self._pair.a.acquired),
            "observed_at_b": iso_time(self._pair.b.acquired),
            "compared_m2": round(compared, 2),
            "changed_m2": round(sums.changed, 2),
            "changed_percent": round(100 * sums.changed / compared, 4) if compared > 0 else None,
            "not_comparable_m2": round(total - compared, 2),
            "compared_percent": round(100 * compared / total, 3) if total > 0 else None,
            "matrix": rows,
            "classes": sums.classes(naming),
            "transitions": [
                {"code": number, "name": self.codes.names[number], **by_pair[pair]}
                for number, pair in enumerate(self.codes.pairs, start=1)
                if pair in by_pair
            ],
            "zones": self.zones.rows(naming) if self.zones is not None else [],
        }

    def pictures(self) -> dict[str, U8]:
        """RGB pictures of both maps and of the change."""
        naming = self._legend.naming
        palette = np.full((256, 3), 226, np.uint8)
        for code in range(255):
            palette[code] = naming.color(code)[:3]
        change = np.full((256, 3), 226, np.uint8)
        for code, color in self.codes.colors.items():
            if code != NOT_COMPARABLE:
                change[code] = color[:3]
        one, other, _ = self._small
        return {"before": palette[one], "after": palette[other], "change": change[self.codes.of(one, other)]}

    def _classes(self, window: Window) -> tuple[U8, U8]:
        one, other = self._pair.read(window)
        return self._legend.tables[0][one], self._legend.tables[1][other]

    def _keep_small(self, window: Window, one: U8, other: U8) -> None:
        rows = np.arange(-window.row % self._step, window.height, self._step)
        for small, codes in zip(self._small, (one, other), strict=False):
            small[(rows + window.row) // self._step] = codes[rows][:, :: self._step]

    def _tags(self) -> dict[str, str]:
        tags = {
            "TIFFTAG_SOFTWARE": f"SameScene engine {VERSION}",
            "SAMESCENE_COMMAND": command_line("landcover-change", self._request, positional=("map_a", "map_b")),
            "SAMESCENE_FROM": str(self._pair.a.path),
            "SAMESCENE_TO": str(self._pair.b.path),
            "PROCESSED": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        legend = self._legend.naming.legend
        return {**tags, "SAMESCENE_CHANGE_LEGEND": legend.name} if legend else tags


def _region_of(request: LandcoverChangeRequest) -> Any:
    if request.aoi is None:
        return None

    def read(grid: Grid) -> Regions:
        return read_regions(request.aoi or "", crs=grid.crs, what="area of interest", grid=grid)

    return read


def _raw_sums(pair: MapPair, reporter: Reporter) -> ChangeSums:
    sums = ChangeSums()
    for window in pair.strips():
        sums.add(*pair.read(window), pair.areas.of(window))
        reporter.progress(window.row_stop / pair.grid.height, "count", "Counting classes")
    return sums


def _changed(one: U8, other: U8) -> NDArray[np.bool_]:
    return np.asarray((one != other) & (one != NOT_OBSERVED) & (other != NOT_OBSERVED))


def _advise(pair: MapPair, legend: CommonLegend, comparison: _Comparison, reporter: Reporter) -> None:
    reporter.warn(_NOTE)
    for note in legend.notes:
        reporter.warn(note)
    first, second = pair.a.acquired, pair.b.acquired
    if first is not None and second is not None and first.replace(tzinfo=None) > second.replace(tzinfo=None):
        reporter.warn(
            f"MAP_A is of {iso_time(first)}, after MAP_B of {iso_time(second)}: are they the wrong way round?"
        )
    coarse = max(b / max(a, 1e-9) for a, b in zip(pair.grid.gsd_m(), pair.b.grid.gsd_m(), strict=True))
    if coarse > 1.5:
        reporter.warn(
            f"The later map's pixels are {coarse:.1f} times as large as the earlier one's: along edges of patches much "
            "seems to change that does not."
        )
    elif pair.samples > 1:
        reporter.log(f"The later map is finer: each pixel takes the most frequent of {pair.samples}² classes under it.")
    if comparison.codes.crowded:
        reporter.warn('More than 254 kinds of change occur: the smaller ones share the code 254, "other changes".')


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {key: [row[key] for row in rows] for key in rows[0]} if rows else {}


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    write_csv(path, list(rows[0]) if rows else [], [list(row.values()) for row in rows])
