"""Label layers: what is read, what each fault is told as, classes, pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS

from engine.errors import GridError, MissingFileError, ParameterError, RegionError
from engine.raster.grid import Grid
from engine.training.labels.classes import class_table
from engine.training.labels.layer import LabelLayer, read_labels
from engine.training.labels.pixels import rasterise, thin
from tests.engine.label_scenes import DEGREES, UTM, write_labels

GRID = Grid(40, 50, UTM, CRS.from_epsg(32633))


def box(left, top, right, bottom, transform=UTM):
    """A polygon between pixel corners (columns and rows)."""
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return shapely.Polygon([transform @ corner for corner in corners])


def layer_of(shapes, values, **keywords):
    return LabelLayer(
        "own.gpkg", "class", tuple((s,) for s in shapes), tuple(values), tuple(map(str, range(9))), **keywords
    )


def test_texts_and_codes_are_read(tmp_path):
    path = write_labels(tmp_path / "own.gpkg", [box(0, 0, 5, 5), box(9, 9, 12, 12)], ["water", " water "])
    layer = read_labels(str(path), "class", GRID)
    assert layer.values == ("water", "water")
    path = write_labels(tmp_path / "codes.gpkg", [box(0, 0, 5, 5), box(9, 9, 12, 12)], [10.0, 20.0])
    assert read_labels(str(path), None, GRID).values == (10, 20)


def test_null_classes_lines_and_empty_features_are_told(tmp_path):
    line = shapely.LineString([UTM @ (1, 1), UTM @ (5, 5)])
    shapes = [box(0, 0, 5, 5), box(5, 5, 8, 8), line, None, box(9, 9, 12, 12)]
    path = write_labels(tmp_path / "own.gpkg", shapes, ["a", None, "a", "b", ""])
    layer = read_labels(str(path), "class", GRID)
    assert len(layer) == 1
    told = " ".join(layer.notes)
    assert "2 features left out: no class" in told
    assert "1 features left out: neither polygons nor points" in told
    assert "1 features left out: no geometry" in told


def test_invalid_polygons_are_mended(tmp_path):
    bow = shapely.Polygon([UTM @ c for c in ((0, 0), (8, 8), (8, 0), (0, 8))])
    path = write_labels(tmp_path / "own.gpkg", [bow, box(20, 20, 24, 24)], ["a", "b"])
    layer = read_labels(str(path), "class", GRID)
    assert any("1 invalid polygons were mended" in note for note in layer.notes)
    pixels = rasterise(layer, class_table(layer.values), GRID, scene="s.tif")
    assert np.count_nonzero(pixels.klass == 0) >= 24  # both wings


@pytest.mark.parametrize(
    ("values", "field", "wanted", "words"),
    [
        (["a", "b"], "class", "species", "has no field species; found class"),
        ([1.5, 2.0], "class", "class", "holds 1.5; expected whole numbers or names"),
        ([None, None], "class", "class", "no feature of the label layer can be used: 2 with no class"),
    ],
)
def test_faults_of_fields_are_one_clear_line(tmp_path, values, field, wanted, words):
    path = write_labels(tmp_path / "own.gpkg", [box(0, 0, 5, 5), box(9, 9, 12, 12)], values, field=field)
    with pytest.raises(RegionError, match=words):
        read_labels(str(path), wanted, GRID)


def test_faults_of_files_and_systems(tmp_path):
    with pytest.raises(MissingFileError, match=r"none\.gpkg: the label layer does not exist"):
        read_labels(str(tmp_path / "none.gpkg"), "class", GRID)
    path = write_labels(tmp_path / "own.gpkg", [box(0, 0, 5, 5)], ["a"], crs=None)
    with pytest.raises(RegionError, match="has no coordinate reference system"):
        read_labels(str(path), "class", GRID)
    path = write_labels(tmp_path / "empty.gpkg", [], np.zeros(0, np.int64).tolist() or [])
    with pytest.raises(RegionError, match="the label layer is empty"):
        read_labels(str(path), "class", GRID)
    with pytest.raises(GridError, match="labels cannot be laid on it"):
        read_labels(str(path), "class", Grid(4, 4, UTM, None))
    with pytest.raises(RegionError, match="has no layer other; found own"):
        read_labels(f"{write_labels(tmp_path / 'own2.gpkg', [box(0, 0, 5, 5)], ['a']).rename(tmp_path / 'own.gpkg')}"
                    "|layername=other", "class", GRID)  # fmt: skip


def test_labels_outside_name_both_extents(tmp_path):
    path = write_labels(tmp_path / "own.gpkg", [box(900, 900, 905, 905)], ["a"])
    layer = read_labels(str(path), "class", GRID)
    with pytest.raises(
        RegionError, match=r"labels reach from 509000, .*the scene from 500000, 5499600 to 500500, 5500000"
    ):
        rasterise(layer, class_table(layer.values), GRID, scene="s.tif")


def test_another_system_lands_on_the_same_pixels(tmp_path):
    from engine.raster.regions import transformed

    shape = box(10.2, 7.1, 20.9, 15.4)
    degrees = transformed(np.array([shape], object), CRS.from_epsg(32633), "EPSG:4326", "x", "x")[0]
    one = write_labels(tmp_path / "utm.gpkg", [shape], ["a"])
    two = write_labels(tmp_path / "deg.geojson", [degrees], ["a"], crs="EPSG:4326")
    found = []
    for path in (one, two):
        layer = read_labels(str(path), "class", GRID)
        pixels = rasterise(layer, class_table(layer.values), GRID, scene="s.tif")
        found.append(set(zip(pixels.row.tolist(), pixels.col.tolist(), strict=True)))
    assert found[0] == found[1]
    assert len(found[0]) == 11 * 8


def test_points_label_their_pixel_or_nine():
    points = [shapely.Point(UTM @ (3.2, 4.9)), shapely.Point(UTM @ (0.5, 0.5))]
    layer = layer_of(points, ["a", "b"])
    table = class_table(layer.values)
    one = rasterise(layer, table, GRID, scene="s.tif")
    assert list(zip(one.row.tolist(), one.col.tolist(), strict=True)) == [(0, 0), (4, 3)]
    nine = rasterise(layer, table, GRID, scene="s.tif", point_size=3)
    assert len(nine) == 9 + 4


def brute(shapes, values, grid):
    """Pixel → set of values, by the centre of every pixel."""
    found = {}
    for row in range(grid.height):
        for col in range(grid.width):
            centre = shapely.Point(grid.transform @ (col + 0.5, row + 0.5))
            held = {v for s, v in zip(shapes, values, strict=True) if s.contains(centre)}
            if held:
                found[row, col] = held
    return found


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(*[st.floats(0.05, 11.95) for _ in range(6)], st.integers(0, 1)), min_size=1, max_size=4),
       st.sampled_from([UTM, DEGREES, UTM @ UTM.rotation(30)]))  # fmt: skip
def test_pixels_are_those_whose_centre_lies_inside(rows, transform):
    grid = Grid(12, 12, transform, CRS.from_epsg(32633))
    shapes, values = [], []
    for a, b, c, d, e, f, value in rows:
        shape = shapely.Polygon([transform @ corner for corner in ((a, b), (c, d), (e, f))])
        if shape.area > 0 and shape.is_valid:
            shapes.append(shape)
            values.append(("x", "y")[value])
    if not shapes:
        return
    wanted = brute(shapes, values, grid)
    layer = layer_of(shapes, values)
    table = class_table(values)
    clashes = sum(len(held) > 1 for held in wanted.values())
    if clashes > 0.05 * len(wanted) or not wanted:
        with pytest.raises(RegionError):
            rasterise(layer, table, grid, scene="s.tif")
        return
    pixels = rasterise(layer, table, grid, scene="s.tif")
    names = [one.value for one in table.classes]
    found = {(r, c): names[k] for r, c, k in zip(pixels.row, pixels.col, pixels.klass, strict=True)}
    assert pixels.conflicts == clashes
    assert found == {place: next(iter(held)) for place, held in wanted.items() if len(held) == 1}


def test_conflicts_are_passed_over_or_refused():
    shapes = [box(0, 0, 30, 30), box(29, 0, 40, 10)]
    layer = layer_of(shapes, ["a", "b"])
    pixels = rasterise(layer, class_table(layer.values), GRID, scene="s.tif")
    assert pixels.conflicts == 10
    assert not np.any((pixels.col == 29) & (pixels.row < 10))
    layer = layer_of([box(0, 0, 30, 30), box(20, 0, 40, 30)], ["a", "b"])
    with pytest.raises(RegionError, match=r"overlap in 300 of 1,200 labelled pixels \(25%; .*features 0 and 1"):
        rasterise(layer, class_table(layer.values), GRID, scene="s.tif")


def test_features_that_share_pixels_are_one_unit():
    layer = layer_of([box(0, 0, 5, 5), box(4, 4, 9, 9), box(20, 20, 25, 25)], ["a", "a", "a"])
    pixels = rasterise(layer, class_table(layer.values), GRID, scene="s.tif")
    assert len(pixels) == 25 + 25 - 1 + 25
    assert len(np.unique(pixels.unit)) == 2


def test_thinning_takes_from_large_units_first():
    layer = layer_of([box(0, 0, 30, 30), box(31, 31, 33, 33)], ["a", "b"])
    pixels = rasterise(layer, class_table(layer.values), GRID, scene="s.tif")
    kept = pixels.only(thin(pixels, 100))
    assert len(kept) <= 100
    assert np.count_nonzero(kept.klass == 1) == 4
    assert np.ptp(kept.row[kept.klass == 0]) > 25  # evenly over the polygon
    assert len(thin(pixels, 10**6)) == len(pixels)


def test_classes_given_with_codes_and_names_of_a_legend_are_of_it():
    def given(code, name):
        return {"code": code, "name": name, "color": "#123456"}

    own = json.dumps({"wood": given(10, "tree cover"), "wheat": given(40, "Cropland")})
    table = class_table(["wood", "wheat"], own)
    assert table.legend == "worldcover"
    assert [(one.value, one.code, one.name, one.color) for one in table.classes] == [
        ("wood", 10, "Tree cover", "#123456"), ("wheat", 40, "Cropland", "#123456"),
    ]  # fmt: skip
    for code, name in ((40, "Wheat"), (41, "Cropland"), (30, "Cropland")):
        other = json.dumps({"wood": given(10, "Tree cover"), "wheat": given(code, name)})
        assert class_table(["wood", "wheat"], other).legend is None


def test_legends_are_told_by_codes_and_names():
    assert class_table([10, 40, 80]).legend == "worldcover"
    assert class_table(["Tree cover", "Cropland"]).legend == "worldcover"
    assert class_table([1, 2]).legend is None  # codes of several legends
    own = class_table(["Oak forest", "Lake"])
    assert [(one.code, one.name) for one in own.classes] == [(1, "Lake"), (2, "Oak forest")]
    assert own.classes[0].color == "#2f7fd0"
    assert [one.code for one in class_table([0, 300]).classes] == [1, 2]
    assert [one.code for one in class_table([7, 200]).classes] == [7, 200]


def test_colors_and_codes_may_be_given(tmp_path):
    given_table = {"a": {"code": 9, "name": "Alpha", "color": "#112233"}, "b": {}}
    table = class_table(["b", "a"], json.dumps(given_table))
    assert [(one.value, one.code, one.name) for one in table.classes] == [("b", 1, "b"), ("a", 9, "Alpha")]
    path = tmp_path / "colors.json"
    path.write_text(json.dumps(given_table), encoding="utf-8")
    assert class_table(["b", "a"], str(path)) == table
    for text, words in (
        ('{"a": {"code": 0}}', "a.code"),
        ('{"a": {"code": 3}, "b": {"code": 3}}', "code 3 is given to more than one class: a, b"),
        ("{no", "cannot be read"),
        (str(tmp_path / "none.json"), "No such file"),
    ):
        with pytest.raises(ParameterError, match=words):
            class_table(["a", "b"], text)
    with pytest.raises(ParameterError, match="101 different values"):
        class_table(list(range(101)))
