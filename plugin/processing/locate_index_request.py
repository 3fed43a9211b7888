"""From the parameters of ``samescene:locate_index`` to the engine's request; imagery that QGIS must draw is drawn in
the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from qgis.core import QgsRasterLayer, QgsRectangle

from ..engine_client.process import EngineProcess
from . import reference_store as store
from .layer_files import LayerFault, raster_for_engine
from .locate_index_parameters import TILE_OPTIONS
from .preparation import Preparation, PreparedRun, is_address
from .reference_picture import LayerPicture
from .reference_source import (
    DRAWN,
    FILE,
    TILES,
    ReferenceSource,
    attribution_of,
    is_tiles,
    licence_line,
    source_of,
    tiles_of,
)
from .run_watch import RunWatch

_DRAWING = 0.35


def reference_as_address(parameters: dict[str, Any]) -> dict[str, Any]:
    """REFERENCE that names map tiles as ADDRESS: QGIS takes only what it can open as a layer."""
    if is_tiles(parameters.get("REFERENCE")) and not parameters.get("ADDRESS"):
        return {**parameters, "REFERENCE": None, "ADDRESS": parameters["REFERENCE"]}
    return parameters


def tile_options(look: Preparation, max_zoom: int | None) -> dict[str, Any]:
    """The engine's options of tile servers in its order, ``max_zoom`` from the layer where none is given."""
    found = look.options(*TILE_OPTIONS)
    if max_zoom is not None:
        found.setdefault("max_zoom", max_zoom)
    return {name.lower(): found[name.lower()] for name in TILE_OPTIONS if name.lower() in found}


class IndexPreparation(Preparation):
    """The request of ``engine locate index``."""

    scene = "REFERENCE"
    extent_name, polygons_name = "EXTENT", "REGION"
    what = {"REFERENCE": "Reference", "EXTENT": "Region", "REGION": "Region"}  # noqa: RUF012 - read only

    def source(self) -> ReferenceSource:
        """What the reference is; raises LayerFault where none is given or it cannot be opened."""
        if self.text("ADDRESS"):
            return tiles_of(self.text("ADDRESS"))
        if is_address(self.parameters.get("REFERENCE")):
            return ReferenceSource(FILE)
        layer = self.raster_layer("REFERENCE")
        if layer is None:
            raise LayerFault("Reference: no imagery is given. Choose a raster layer, or give an address of map tiles.")
        return source_of(layer)

    def index(self) -> str:
        """The folder of the index."""
        return str(self.destination()["out"])

    def region(self) -> str:
        """Where to search; of a file without extent and polygons, all of it. Raises LayerFault."""
        area = self.area()
        layer = self.raster_layer("REFERENCE")
        return area if area or layer is None else self.rectangle(layer.extent(), layer.crs())

    def attribution(self) -> str:
        """Whom to name: what is given, else what the layer says."""
        layer = self.raster_layer("REFERENCE")
        return self.text("ATTRIBUTION") or (attribution_of(layer) if layer is not None else "")

    def prepare(self) -> PreparedRun:
        """Raises LayerFault when a layer cannot be handed over."""
        source = self.source()
        layer = self.raster_layer("REFERENCE")
        picture = None
        if source.kind == DRAWN and layer is not None:
            picture = LayerPicture(layer, what=self.what["REFERENCE"], transforms=self.context.transformContext())
        params = tile_options(self, source.max_zoom)
        params.update({"reference": self.reference_of(source, layer, picture), "region": self.region()})
        if self.model("METHOD"):
            params["method"] = self.model("METHOD")
        params.update(self.options("CELL", "SCALES", "PRECISION", "IMAGERY_DATE"))
        if self.attribution():
            params["attribution"] = self.attribution()
        params.update(self.options("MAX_TILES", "MEMORY", "UPDATE"))
        params.update(self.options("OVERWRITE", "DEVICE"))
        params.update(self.destination())
        title = f"Search index – {Path(self.index()).name}"
        run = PreparedRun(params, title, self.notes, undone=lambda: store.remove_unused(params["out"]))
        if picture is None:
            return run
        if source.host:
            self.note("warning", licence_line(source.host, self.attribution()))
        return replace(run, before=Drawing(picture, params))

    def reference_of(self, source: ReferenceSource, layer: QgsRasterLayer | None, picture: LayerPicture | None) -> str:
        """The file or address that the engine is given; of a ``picture``, where it will be drawn. Raises LayerFault."""
        if source.kind == TILES:
            return source.address
        if picture is not None:
            return str(store.mosaic_path(self.index(), picture.source, picture.crs))
        if layer is None:
            return str(self.parameters["REFERENCE"])
        file = raster_for_engine(layer, what=self.what["REFERENCE"], temp=self.temp)
        if not file.note:
            return file.path
        # A virtual raster of QGIS's temporary folder would be gone when the index is searched.
        text = Path(file.path).read_text(encoding="utf-8")
        kept = store.kept_text(self.index(), "reference", text)
        self.note("info", file.note.replace(file.path, str(kept)))
        return str(kept)


class Drawing:
    """Draws the imagery of a region before the job of ``params`` uses it. ``scale_m``: metres a pixel of what is cut
    from it; where none is given, those that the method of an index wants."""

    def __init__(self, picture: LayerPicture, params: dict[str, Any], *, scale_m: float | None = None) -> None:
        self._picture: LayerPicture | None = picture
        self._params, self._scale_m = params, scale_m

    def __call__(self, engine: EngineProcess, watch: RunWatch) -> None:
        """Raises LayerFault, EngineFailure and EngineCancelled."""
        index, picture = self._params["out"], self._picture
        self._picture = None  # its provider belongs to QGIS: it goes before QGIS does
        if picture is None:
            return
        wanted = {key: self._params[key] for key in ("region", "method", "cell", "scales") if key in self._params}
        if self._scale_m is not None:
            wanted |= {"method": "geometric", "scales": f"{self._scale_m:g}"}
        plan = engine.run_job("locate-plan", wanted, is_cancelled=watch.is_cancelled)
        region = QgsRectangle(*plan["region"])
        grid = store.kept_grid(index, picture.source, picture.crs) if self._params.get("update") else None
        grid = grid or picture.grid(region, finest_m=plan["finest_m"], coarsest_m=plan["coarsest_m"])
        box = picture.box(grid, region, reach_m=plan["reach_m"])
        path = store.part_path(index, grid, box)
        if path.is_file():
            watch.log("info", f"Reference: '{picture.name}' was drawn already: {path}.")
        else:
            watch.part(0.0, _DRAWING)
            picture.draw(
                path,
                grid,
                box,
                on_progress=lambda share, text: watch.progress(share, "draw", text),
                is_cancelled=watch.is_cancelled,
            )
            watch.part(_DRAWING, 1.0)
            watch.log(
                "info", f"Reference: '{picture.name}' was drawn to {path} ({box.width:,} x {box.height:,} pixels)."
            )
        store.write_mosaic(index, grid)
