"""Polygons from strips against rasterio's of the whole; regions from files and boxes; burning; layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pyproj
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from rasterio.crs import CRS
from shapely.geometry import shape

from engine.errors import DamagedFileError, MissingFileError, OutputError, RegionError
from engine.raster.area import PixelAreas, polygon_area_m2
from engine.raster.grid import Grid, Window
from engine.raster.polygons import PolygonBatch, RegionOutlines
from engine.raster.vector import StripPolygons, ZoneLayers, burn, read_regions, write_layer

UTM = CRS.from_epsg(32633)
TRANSFORMS = {
    "north-up": Affine(2, 0, 10, 0, -3, 20),
    "south-up": Affine(2, 0, 10, 0, 3, 20),
    "rotated": Affine(2, 1, 10, 1, -3, 20),
}


def by_strips(grid: Grid, codes: np.ndarray, probability: np.ndarray, cuts: list[int], **options: Any) -> PolygonBatch:
    batches: list[PolygonBatch] = []
    outlines = RegionOutlines(grid, sink=batches.append, **options)
    edges = sorted({0, grid.height, *(c for c in cuts if c < grid.height)})
    for top, stop in zip(edges, edges[1:], strict=False):  # noqa: RUF007
        outlines.add(Window(top, 0, stop - top, grid.width), codes[top:stop], probability[top:stop])
    outlines.finish()
    fields = ("geometries", "codes", "area_m2", "mean_probability", "pixels")
    return PolygonBatch(*(np.concatenate([np.zeros(0), *(getattr(b, f) for b in batches)]) for f in fields))


def as_text(pairs: Any) -> list[tuple[int, str]]:
    return sorted((int(code), shapely.normalize(geometry).wkt) for code, geometry in pairs)


codes_and_cuts = st.tuples(
    hnp.arrays(
        np.uint8,
        st.tuples(st.integers(1, 14), st.integers(1, 14)),
        elements=st.sampled_from([0, 1, 1, 1, 2, 2, 3, 7, 255]),
    ),
    st.lists(st.integers(1, 13), max_size=6),
    st.sampled_from(sorted(TRANSFORMS)),
)


@given(codes_and_cuts)
@settings(max_examples=150, deadline=None)
def test_strips_give_what_the_whole_raster_gives(case: tuple[np.ndarray, list[int], str]) -> None:
    codes, cuts, name = case
    grid = Grid(*codes.shape, TRANSFORMS[name], None)
    probability = (np.arange(codes.size).reshape(codes.shape) * 7 % 101).astype(np.uint8)
    got = by_strips(grid, codes, probability, cuts)
    whole = rasterio.features.shapes(
        codes, mask=np.isin(codes, (1, 2, 3)), connectivity=4, transform=grid.transform
    )  # fmt: skip
    expected = [(int(value), shape(geometry)) for geometry, value in whole]
    assert as_text(zip(got.codes, got.geometries, strict=True)) == as_text(expected)
    assert shapely.is_valid(got.geometries).all()
    for code, geometry, area, mean, pixels in zip(
        got.codes, got.geometries, got.area_m2, got.mean_probability, got.pixels, strict=True
    ):
        inside = burn([geometry], grid, grid.window)
        assert (codes[inside] == code).all()
        assert inside.sum() == pixels
        assert mean == pytest.approx(probability[inside].mean())
        assert area == pytest.approx(geometry.area)


@pytest.mark.parametrize("kind", ["spiral", "checkers", "rings", "comb", "full"])
def test_shapes_that_stay_open_over_many_strips(kind: str) -> None:
    size = 41
    row, col = np.mgrid[:size, :size]
    reach = np.maximum(abs(row - 20), abs(col - 20))
    codes = {
        "spiral": ((reach % 2 == 0) ^ ((row == col + 1) & (row < 20))).astype(np.uint8),
        "checkers": ((row + col) % 2).astype(np.uint8),
        "rings": (reach % 3).astype(np.uint8),
        "comb": ((col % 2 == 0) | (row == size - 1)).astype(np.uint8) * 2,
        "full": np.full((size, size), 3, np.uint8),
    }[kind]
    grid = Grid(size, size, Affine(10, 0, 4e5, 0, -10, 6e6), UTM)
    one = by_strips(grid, codes, codes, [])
    assert as_text(zip(one.codes, one.geometries, strict=True)) == as_text(
        (value, shape(g)) for g, value in rasterio.features.shapes(codes, mask=codes > 0, transform=grid.transform)
    )
    for step in (1, 2, 7):
        many = by_strips(grid, codes, codes, list(range(0, size, step)))
        assert as_text(zip(many.codes, many.geometries, strict=True)) == as_text(
            zip(one.codes, one.geometries, strict=True)
        )
        assert many.area_m2.sum() == pytest.approx((PixelAreas(grid).of(grid.window) * (codes > 0)).sum())


def test_unknown_probability_does_not_count_and_areas_are_geodesic() -> None:
    grid = Grid(4, 6, Affine(0.01, 0, 30, 0, -0.01, 60), CRS.from_epsg(4326))
    codes = np.zeros((4, 6), np.uint8)
    codes[1:3, 1:4] = 2
    codes[0, 5] = 1
    probability = np.full((4, 6), 255, np.uint8)
    probability[1, 1:3] = (40, 60)
    got = by_strips(grid, codes, probability, [2])
    order = np.argsort(got.codes)
    np.testing.assert_array_equal(got.mean_probability[order], [np.nan, 50])
    np.testing.assert_array_equal(got.pixels[order], [1, 6])
    expected = [polygon_area_m2(g, grid.crs) for g in got.geometries]
    np.testing.assert_allclose(got.area_m2, expected, rtol=1e-6)


def test_many_regions_are_handed_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    codes = np.random.default_rng(0).integers(0, 3, (30, 40)).astype(np.uint8)
    grid = Grid(30, 40, Affine.identity(), None)
    whole = by_strips(grid, codes, codes, [])
    monkeypatch.setattr("engine.raster.polygons._CHUNK", 7)
    parts = by_strips(grid, codes, codes, [])
    assert as_text(zip(parts.codes, parts.geometries, strict=True)) == as_text(
        zip(whole.codes, whole.geometries, strict=True)
    )
    np.testing.assert_array_equal(parts.pixels, whole.pixels)


def test_strips_out_of_order_are_refused() -> None:
    grid = Grid(6, 5, Affine.identity(), None)
    outlines = RegionOutlines(grid, sink=lambda batch: None)
    with pytest.raises(ValueError, match="from row 0"):
        outlines.add(Window(1, 0, 2, 5), np.zeros((2, 5), np.uint8))
    outlines.add(Window(0, 0, 2, 5), np.zeros((2, 5), np.uint8))
    with pytest.raises(ValueError, match="2 of 6"):
        outlines.finish()


def test_closed_regions_are_handed_on_at_once() -> None:
    """Memory is bounded by open regions: nothing of a closed one is kept."""
    grid = Grid(1000, 20, Affine.identity(), None)
    codes = np.zeros((10, 20), np.uint8)
    codes[2:5, 3:9] = 1
    batches: list[PolygonBatch] = []
    outlines = RegionOutlines(grid, sink=batches.append)
    for row in range(0, 1000, 10):
        outlines.add(Window(row, 0, 10, 20), codes)
        assert len(outlines._open.corners.row) == 0
        assert len(outlines._open.code) == 0
    outlines.finish()
    assert sum(map(len, batches)) == 100


def test_the_layer_has_its_fields_whatever_the_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.raster.vector._BATCH", 50)
    grid = Grid(100, 120, Affine(10, 0, 4e5, 0, -10, 6e6), UTM)
    codes = np.random.default_rng(0).integers(0, 3, grid.shape).astype(np.uint8)
    path = tmp_path / "flood.gpkg"
    with StripPolygons(
        grid, path=path, class_names={1: "reference water", 2: "flood"}, observed_at="2020-01-02T03:04:05Z"
    ) as polygons:
        for strip in grid.strips(7):
            part = codes[strip.core.row : strip.core.row_stop]
            polygons.add(strip.core, part, part * 30)
        polygons.finish()
    write_layer(path, "zones", [shapely.box(0, 0, 1, 1)], {"zone_id": ["ä"], "n": [None], "x": [1.5], "i": [3]}, crs=UTM, geometry_type="MultiPolygon")  # fmt: skip # noqa: E501
    assert [list(row) for row in pyogrio.list_layers(path)] == [["polygons", "Polygon"], ["zones", "MultiPolygon"]]
    meta, _, wkb, columns = pyogrio.raw.read(path, layer="polygons")
    assert list(meta["fields"]) == ["class", "area_m2", "mean_probability", "observed_at"]
    assert pyproj.CRS(meta["crs"]).to_epsg() == 32633
    geometries = shapely.from_wkb(wkb)
    assert shapely.is_valid(geometries).all()
    reference = by_strips(grid, codes, codes * 30, [])
    assert len(geometries) == len(reference) > 2000
    assert shapely.area(geometries).sum() == pytest.approx((codes > 0).sum() * 100)
    assert columns[1].sum() == pytest.approx(reference.area_m2.sum())
    assert set(columns[0]) == {"reference water", "flood"}
    assert (columns[2] == np.where(columns[0] == "flood", 60, 30)).all()
    assert set(columns[3]) == {np.datetime64("2020-01-02T03:04:05", "ms")}
    zones = pyogrio.raw.read(path, layer="zones")
    assert zones[3][0][0] == "ä"
    assert pyogrio.read_info(path, layer="zones")["features"] == 1


def test_no_polygon_still_makes_the_layer_and_bad_places_are_told(tmp_path: Path) -> None:
    grid = Grid(5, 5, Affine.identity(), None)
    with StripPolygons(grid, path=tmp_path / "x.gpkg") as polygons:
        polygons.add(grid.window, np.zeros((5, 5), np.uint8))
        polygons.finish()
    assert pyogrio.read_info(tmp_path / "x.gpkg", layer="polygons")["features"] == 0
    with pytest.raises(OutputError, match=r"gone.x\.gpkg"):
        write_layer(tmp_path / "gone" / "x.gpkg", "a", [], {}, crs=UTM)


@pytest.mark.parametrize("name", TRANSFORMS)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_burning_is_the_centre_rule(name: str, data: st.DataObject) -> None:
    grid = Grid(30, 40, TRANSFORMS[name], None)
    points = data.draw(st.lists(st.tuples(st.integers(0, 100), st.integers(-80, 120)), min_size=3, max_size=7))
    polygon = shapely.make_valid(shapely.Polygon([(x + 0.137, y + 0.291) for x, y in points]))
    row, col = np.mgrid[:30, :40] + 0.5
    x, y = grid.transform.a * col + grid.transform.b * row + grid.transform.c, grid.transform.d * col + grid.transform.e * row + grid.transform.f  # fmt: skip # noqa: E501
    expected = shapely.contains_xy(polygon, x, y)
    np.testing.assert_array_equal(burn([polygon], grid, grid.window), expected)
    window = Window(data.draw(st.integers(-5, 29)), data.draw(st.integers(-5, 39)), 9, 11)
    padded = np.zeros((60, 70), bool)
    wide = burn([polygon], grid, Window(-15, -15, 60, 70))
    padded[...] = wide
    np.testing.assert_array_equal(
        burn([polygon], grid, window), padded[window.row + 15 : window.row + 24, window.col + 15 : window.col + 26]
    )
    assert (burn([polygon], grid, grid.window, all_touched=True) >= expected).all()


def test_zones_that_overlap_are_kept_apart() -> None:
    grid = Grid(20, 20, Affine(1, 0, 0, 0, -1, 20), None)
    zones = [
        shapely.box(0, 0, 10, 20),
        shapely.box(10, 0, 20, 20),
        shapely.box(5, 5, 15, 15),
        shapely.box(50, 50, 60, 60),
    ]
    layers = ZoneLayers(zones, grid)
    assert layers.count == 2
    found = np.concatenate([layers.read(s.core) for s in grid.strips(6)], axis=1)
    for index, zone in enumerate(zones):
        np.testing.assert_array_equal((found == index).any(axis=0), burn([zone], grid, grid.window))
    assert ZoneLayers(zones[:2], grid).count == 1


def geojson(path: Path, geometries: list[Any], **properties: list[Any]) -> Path:
    features = [
        {"type": "Feature", "properties": {k: v[i] for k, v in properties.items()}, "geometry": g}
        for i, g in enumerate(geometries)
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


BOX = {"type": "Polygon", "coordinates": [[[14, 50], [15, 50], [15, 51], [14, 51], [14, 50]]]}


def test_regions_come_reprojected_with_their_ids(tmp_path: Path) -> None:
    path = geojson(tmp_path / "zones.geojson", [BOX, None, BOX], name=["a", "b", None])
    regions = read_regions(path, crs=UTM, what="zones", id_field="name")
    assert regions.ids == ("a", "")
    assert list(regions.fields) == ["name"]
    # Straight in degrees is curved in UTM: the parallel between the corners bulges, and the area must be the zone's.
    assert shapely.get_num_coordinates(regions.geometries[0]) > 100
    assert polygon_area_m2(regions.geometries[0], UTM) == pytest.approx(polygon_area_m2(shape(BOX), 4326), rel=1e-6)
    assert read_regions(path, crs=CRS.from_epsg(4326)).ids == ("0", "2")
    by_layer = read_regions(f"{path}|layername=zones", crs=UTM)
    assert len(by_layer) == 2
    box = read_regions("14,50,15,51", crs=UTM)
    np.testing.assert_allclose(box.bounds, regions.bounds)


def test_regions_that_cannot_be_used_are_told_in_one_line(tmp_path: Path, capfd: Any) -> None:
    point = {"type": "Point", "coordinates": [14, 50]}
    flat = {"type": "Polygon", "coordinates": [[[14, 50], [15, 50], [14, 50], [14, 50]]]}
    write_layer(tmp_path / "nocrs.gpkg", "a", [shapely.box(0, 0, 1, 1)], {}, crs=None)
    write_layer(tmp_path / "bytes.gpkg", "a", [shapely.box(0, 0, 1, 1)], {}, crs=UTM)
    data = (tmp_path / "bytes.gpkg").read_bytes()
    (tmp_path / "cut.gpkg").write_bytes(data[: len(data) // 3])
    (tmp_path / "text.shp").write_text("not a shape")
    cases: list[tuple[Any, type[Exception], str]] = [
        (tmp_path / "gone.gpkg", MissingFileError, "does not exist"),
        (tmp_path / "text.shp", DamagedFileError, "cannot be read"),
        (tmp_path / "cut.gpkg", DamagedFileError, "cannot be read"),
        (tmp_path / "nocrs.gpkg", RegionError, "no coordinate reference system"),
        (geojson(tmp_path / "empty.geojson", []), RegionError, "empty|no layer"),
        (geojson(tmp_path / "null.geojson", [None]), RegionError, "empty|no layer"),
        (geojson(tmp_path / "points.geojson", [point]), RegionError, "holds Point; expected polygons"),
        (geojson(tmp_path / "flat.geojson", [flat]), RegionError, "the polygons of the zones have no area"),
        (f"{geojson(tmp_path / 'x.geojson', [BOX])}|layername=y", RegionError, "no layer y; found x"),
        ("14,51,15,50", RegionError, "W,S,E,N"),
        ("14,50,15", RegionError, "W,S,E,N"),
        ("14,-91,15,0", RegionError, "W,S,E,N"),
    ]
    for source, kind, words in cases:
        with pytest.raises(kind, match=words) as caught:
            read_regions(source, crs=UTM, what="zones")
        assert "\n" not in str(caught.value)
    with pytest.raises(RegionError, match="no field district; found name"):
        read_regions(geojson(tmp_path / "f.geojson", [BOX], name=["a"]), crs=UTM, id_field="district")
    with pytest.raises(RegionError, match="scene has no coordinate"):
        read_regions("14,50,15,51", crs=None)
    assert capfd.readouterr() == ("", "")


def test_invalid_polygons_are_mended_and_points_among_polygons_left_out(tmp_path: Path) -> None:
    bow = {"type": "Polygon", "coordinates": [[[14, 50], [15, 51], [15, 50], [14, 51], [14, 50]]]}
    line = {"type": "LineString", "coordinates": [[14, 50], [15, 50]]}
    regions = read_regions(geojson(tmp_path / "x.geojson", [bow, line]), crs=CRS.from_epsg(4326))
    assert len(regions) == 1
    assert regions.geometries[0].is_valid
    assert regions.geometries[0].area == pytest.approx(0.5)


def test_over_the_antimeridian(tmp_path: Path) -> None:
    """A box and a UTM polygon across 180 degrees, on grids that count longitude either way."""
    utm = CRS.from_epsg(32760)
    x, y = pyproj.Transformer.from_crs(4326, 32760, always_xy=True).transform(180.0, -17.0)
    write_layer(tmp_path / "utm.gpkg", "a", [shapely.box(x - 2e4, y - 2e4, x + 2e4, y + 2e4)], {}, crs=utm)
    for west in (179.0, -181.0):
        grid = Grid(200, 200, Affine(0.01, 0, west, 0, -0.01, -16), CRS.from_epsg(4326))
        areas = np.broadcast_to(PixelAreas(grid).of(grid.window), grid.shape)
        from_file = read_regions(tmp_path / "utm.gpkg", crs=grid.crs, grid=grid)
        inside = burn(list(from_file.geometries), grid, grid.window)
        assert areas[inside].sum() == pytest.approx(1.6e9, rel=0.01)
        for text in ("179.5,-17.5,-179.5,-16.5", "179.5,-17.5,180.5,-16.5"):
            inside = burn(list(read_regions(text, crs=grid.crs, grid=grid).geometries), grid, grid.window)
            assert inside.sum() == 10_000
    assert read_regions("179.5,-17.5,-179.5,-16.5", crs=utm).geometries[0].area == pytest.approx(1.18e10, rel=0.01)
