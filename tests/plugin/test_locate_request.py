"""What the locate algorithms hand to the engine, what they refuse before a run, and what a layer is as a reference."""

from __future__ import annotations

import csv
import gc
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
from made_layers import polygon_layer, write_scene
from osgeo import gdal
from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsDistanceArea,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsPointXY,
    QgsProcessingContext,
    QgsProject,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QVariant

from plugin.engine_client.command_line import engine_command
from plugin.engine_client.runs import RunRegistry
from plugin.engine_client.settings import environment_python
from plugin.processing import locate_index_parameters, locate_search_parameters
from plugin.processing import reference_store as store
from plugin.processing.layer_files import LayerFault
from plugin.processing.photo_files import named_photos, photos_in
from plugin.processing.provider import SameSceneProvider
from plugin.processing.reference_picture import LayerPicture
from plugin.processing.reference_source import (
    DRAWN,
    FILE,
    TILES,
    ReferenceSource,
    attribution_of,
    is_tiles,
    source_of,
    tiles_of,
)

ROOT = Path(__file__).resolve().parents[2]
ENGINE_PYTHON = environment_python(ROOT / ".venv-engine")
TILE_ADDRESS = "https://tiles.example.org/{z}/{x}/{y}.jpg"
NAMES = ("locate_index", "locate_search", "locate_evaluate")
FIELDS = {
    "locate_index": (locate_index_parameters.FIELDS, "LocateIndexRequest"),
    "locate_search": (locate_search_parameters.SEARCH_FIELDS, "LocateSearchRequest"),
    "locate_evaluate": (locate_search_parameters.EVALUATE_FIELDS, "LocateEvaluateRequest"),
}
gdal.UseExceptions()


class Fill:
    """request(name, …) → the engine's request; fault(name, …) → what is refused."""

    def __init__(self, context, folder: Path) -> None:
        self.context, self.folder = context, folder
        self.ortho = write_scene(folder / "ortho ü.tif", names=("red", "green", "blue"))
        self.index = folder / "index"
        self.index.mkdir()
        (self.index / "card.json").write_text("{}")
        self.photos = [str(folder / name) for name in ("a.jpg", "b.png")]
        for photo in self.photos:
            Path(photo).write_bytes(b"not read")

    def algorithm(self, name):
        return QgsApplication.processingRegistry().createAlgorithmById(f"samescene:{name}")

    def values(self, name, parameters):
        usual = {"INDEX": str(self.index), "PHOTOS": self.photos} if name != "locate_index" else {
            "REFERENCE": self.ortho
        }  # fmt: skip
        return {**usual, "OUTPUT": str(self.folder / "out"), **parameters}

    def prepared(self, name, **parameters):
        algorithm = self.algorithm(name)
        return algorithm.prepared(algorithm.understood(self.values(name, parameters)), self.context)

    def request(self, name, **parameters):
        return self.prepared(name, **parameters).params

    def fault(self, name, **parameters):
        good, message = self.algorithm(name).checkParameterValues(self.values(name, parameters), self.context)
        assert good == (message == "")
        assert "\n" not in message
        return message


@pytest.fixture
def context(qgis_app):
    made = QgsProcessingContext()
    made.setProject(QgsProject.instance())
    yield made
    made.temporaryLayerStore().removeAllMapLayers()
    QgsProject.instance().clear()
    gc.collect()


@pytest.fixture
def fill(qgis_app, context, tmp_path, monkeypatch):
    python = tmp_path / "python-of-the-engine"
    python.write_text("")
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", str(python))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    provider = SameSceneProvider(RunRegistry())
    QgsApplication.processingRegistry().addProvider(provider)
    yield Fill(context, tmp_path)
    QgsApplication.processingRegistry().removeProvider(provider)


@pytest.fixture(scope="module")
def schemas():
    if not ENGINE_PYTHON.exists():
        pytest.skip(f"no engine environment: {ENGINE_PYTHON}")
    code = (
        "import json, sys; from engine.locate import requests as r; "
        "print(json.dumps({n: getattr(r, n).model_json_schema() for n in sys.argv[1:]}))"
    )
    words = [str(ENGINE_PYTHON), "-c", code, *(where for _, where in FIELDS.values())]
    return json.loads(subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT).stdout)


# the parameters themselves


@pytest.mark.parametrize("name", FIELDS)
def test_parameters_and_defaults_are_those_of_the_engines_request(fill, schemas, name):
    fields, where = FIELDS[name]
    schema, algorithm = schemas[where], fill.algorithm(name)
    assert list(fields) == list(schema["properties"])
    names = {definition.name() for definition in algorithm.parameterDefinitions()}
    assert {one for group in fields.values() for one in group} == names - {"LOAD_RESULTS"}
    for field, (parameter, *_) in fields.items():
        wanted, definition = schema["properties"][field], algorithm.parameterDefinition(parameter)
        if field not in schema["required"]:
            assert (definition.defaultValue() or None) == (wanted["default"] or None), field
        for key in ("minimum", "maximum"):
            if key in wanted:
                assert getattr(definition, key)() == wanted[key], (field, key)
        if "enum" in wanted:
            assert definition.options() == wanted["enum"]


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_has_a_title_and_help(fill, name):
    algorithm = fill.algorithm(name)
    assert algorithm.shortHelpString() and algorithm.displayName() and not algorithm.icon().isNull()
    assert algorithm.groupId() == "locate"
    for definition in algorithm.parameterDefinitions():
        assert definition.description() and definition.help().endswith("."), definition.name()


# requests


def test_a_file_and_an_extent(fill):
    params = fill.request("locate_index", EXTENT="14.99,15.01,50.54,50.55 [EPSG:4326]", CELL=12, UPDATE=True)
    assert params == {
        "reference": fill.ortho, "region": "14.99,50.54,15.01,50.55", "cell": 12.0, "update": True,
        "out": str(fill.folder / "out"),
    }  # fmt: skip
    command = engine_command("locate-index", params, windows=False)
    assert command.startswith("engine locate index ") and "--region 14.99,50.54,15.01,50.55 --cell 12.0 --up" in command


def test_a_file_alone_is_all_of_it(fill):
    params = fill.request("locate_index")
    region = QgsVectorLayer(params["region"], "region", "ogr")
    assert region.isValid() and region.crs().authid() == "EPSG:32633"
    assert region.extent() == QgsRasterLayer(fill.ortho).extent()


@pytest.mark.parametrize("name", ["REFERENCE", "ADDRESS"])
def test_an_address_as_text(fill, name):
    given = {"REFERENCE": None, name: TILE_ADDRESS, "EXTENT": "14,15,50,51 [EPSG:4326]", "MAX_ZOOM": 17, "TMS": True}
    assert fill.fault("locate_index", **given) == ""
    params = fill.request("locate_index", **given)
    assert list(params) == ["tms", "max_zoom", "reference", "region", "out"], "the order of the engine's command"
    assert params["reference"] == TILE_ADDRESS and params["max_zoom"] == 17


def test_an_xyz_layer_is_its_address_with_its_highest_zoom(fill):
    layer = QgsRasterLayer(f"type=xyz&url={TILE_ADDRESS}?k%3Da%26l%3Db&zmax=18&zmin=2", "tiles", "wms")
    assert layer.isValid()
    layer.setAttribution("© Example")
    params = fill.request("locate_index", REFERENCE=layer, EXTENT="14,15,50,51 [EPSG:4326]")
    assert params["reference"] == f"{TILE_ADDRESS}?k=a&l=b" and params["max_zoom"] == 18
    assert params["attribution"] == "© Example"
    asked = fill.request("locate_index", REFERENCE=layer, EXTENT="14,15,50,51 [EPSG:4326]", MAX_ZOOM=16)
    assert asked["max_zoom"] == 16


def test_the_crs_assigned_in_qgis_is_kept_beside_the_index(fill):
    layer = QgsRasterLayer(fill.ortho, "shifted")
    layer.setCrs(QgsCoordinateReferenceSystem("EPSG:25833"))
    first = fill.request("locate_index", REFERENCE=layer, EXTENT="14,16,50,51 [EPSG:4326]")
    again = fill.request("locate_index", REFERENCE=layer, EXTENT="14,16,50,51 [EPSG:4326]")
    assert first == again, "the same order finds the same file, or a stopped run could not go on"
    kept = Path(first["reference"])
    assert kept.parent == store.imagery_folder(first["out"]) and gdal.Open(str(kept)).GetSpatialRef() is not None
    store.remove_unused(first["out"])
    assert not kept.parent.exists(), "no index came of it"


def test_photos_and_what_is_known_of_them(fill):
    track = fill.folder / "track.csv"
    track.write_text("photo,east_m,north_m\n")
    params = fill.request(
        "locate_search", SEQUENCE=True, TRACK=str(track), HEADING=90, HFOV=200, TOP=5, IGNORE_HEADING=True, VERIFY=10,
        INSIDE=1,
    )  # fmt: skip
    assert params == {
        "index": str(fill.index), "panorama": fill.photos, "hfov": 200.0, "inside": 1.0, "verify": 10, "heading": 90.0,
        "ignore_heading": True, "sequence": True, "track": str(track), "top": 5, "out": str(fill.folder / "out"),
    }  # fmt: skip
    folder = fill.request("locate_search", PHOTOS=None, PHOTOS_FOLDER=str(fill.folder))["panorama"]
    assert {Path(p).name for p in folder} == {"a.jpg", "b.png", "ortho ü.tif"}
    assert fill.request("locate_search", PHOTOS_FOLDER=str(fill.folder))["panorama"][:2] == fill.photos, "each once"
    assert fill.prepared("locate_search").title == "Locate – 2 photos"
    assert fill.prepared("locate_evaluate", PHOTOS=fill.photos[0]).title == "Test locating – a.jpg"


def test_names_of_photos(tmp_path):
    assert named_photos('"/x/a.jpg"; /x/b c.jpg') == ["/x/a.jpg", "/x/b c.jpg"]
    assert named_photos(None) == named_photos([]) == [] and photos_in("") == photos_in(str(tmp_path / "no")) == []
    for name in ("B.JPG", "a.jpeg", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).write_text("")
    assert [Path(p).name for p in photos_in(str(tmp_path))] == ["B.JPG", "a.jpeg"]


# known positions


def read(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_positions_of_a_point_layer_in_any_crs(fill):
    layer = QgsVectorLayer("Point?crs=EPSG:32633", "photos", "memory")
    fields = [("photo", "String"), ("filename", "String"), ("direction", "Double")]
    layer.dataProvider().addAttributes([QgsField(name, getattr(QVariant.Type, kind)) for name, kind in fields])
    layer.updateFields()
    for name, direction, point in (("/far/a.jpg", 90.5, (500_000, 5_599_700)), ("b.png", None, (500_100, 5_599_700)),
                                   ("lost.jpg", 1.0, None)):  # fmt: skip
        feature = QgsFeature(layer.fields())
        feature.setAttributes([name, "", direction])
        if point:
            feature.setGeometry(QgsGeometry.fromPointXY(QgsPointXY(*point)))
        layer.dataProvider().addFeature(feature)
    rows = read(fill.request("locate_evaluate", POSITIONS=layer)["positions"])
    assert [row["photo"] for row in rows] == ["a.jpg", "b.png"]
    assert float(rows[0]["lon"]) == pytest.approx(15.0) and float(rows[0]["lat"]) == pytest.approx(50.549, abs=1e-3)
    assert rows[0]["heading_deg"] == "90.5" and rows[1]["heading_deg"] == ""


def test_positions_of_a_table(fill):
    table = fill.folder / "positions.csv"
    table.write_text("panorama,lon,lat,heading_deg\nx/a.jpg,15.1,50.2,7\n")
    assert fill.request("locate_evaluate", POSITIONS=str(table))["positions"] == str(table), "as it is"
    layer = QgsVectorLayer(f"file://{table}?delimiter=,", "table", "delimitedtext")
    rows = read(fill.request("locate_evaluate", POSITIONS=layer)["positions"])
    assert rows == [{"photo": "a.jpg", "lon": "15.1", "lat": "50.2", "heading_deg": "7.0"}]


def test_a_layer_that_tells_no_photos_is_refused(fill):
    layer = polygon_layer([(500_000, 5_599_700, 10, "x")], points=True)
    with pytest.raises(LayerFault, match="no field photo or filename; it has name"):
        fill.request("locate_evaluate", POSITIONS=layer)


# faults, each one line


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"EXTENT": "15,15,50,51 [EPSG:4326]"}, "Region: the extent is empty"),
        ({"EXTENT": "9,10,40,41 [EPSG:4326]"}, "Region: the extent lies outside the reference 'ortho ü'"),
        ({"REFERENCE": None}, "Reference: no imagery is given"),
        ({"REFERENCE": "/gone.tif"}, "Reference: '/gone.tif' cannot be opened"),
        ({"REFERENCE": None, "ADDRESS": "https://a.example/tiles"}, "has no {z}, {x} and {y}"),
        ({"REFERENCE": None, "ADDRESS": TILE_ADDRESS}, "Region: none is given"),
        ({"ADDRESS": TILE_ADDRESS}, "both a layer and an address"),
        ({"UPDATE": True}, "holds no index to add to"),
        ({"UPDATE": True, "OVERWRITE": True}, "exclude each other"),
        ({"MODEL_FOLDER": "/nowhere"}, "no model bundle"),
    ],
)
def test_what_an_index_refuses(fill, parameters, said):
    assert said in fill.fault("locate_index", **parameters)


def test_what_an_index_refuses_of_layers(fill):
    line = polygon_layer([(500_000, 5_599_700, 0, "flat")])
    assert "have no area" in fill.fault("locate_index", REGION=line)
    far = polygon_layer([(900_000, 5_599_700, 50, "far")])
    assert "lies outside the reference" in fill.fault("locate_index", REGION=far)
    points = polygon_layer([(500_000, 5_599_700, 50, "p")], points=True)
    assert "polygon" in fill.fault("locate_index", REGION=points).lower()
    nowhere = QgsRasterLayer(write_scene(fill.folder / "plain.tif", epsg=None), "plain")
    assert "has no CRS" in fill.fault("locate_index", REFERENCE=nowhere)
    (fill.folder / "out").mkdir()
    (fill.folder / "out" / "x").write_text("")
    said = fill.fault("locate_index")
    assert "is not empty" in said and "Add to the index" in said
    assert fill.fault("locate_index", OVERWRITE=True) == ""


@pytest.mark.parametrize("name", ["locate_search", "locate_evaluate"])
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"INDEX": "/nowhere"}, "/nowhere holds no index"),
        ({"INDEX": ""}, "Index: none is chosen"),
        ({"PHOTOS": []}, "Photos: none is chosen"),
        ({"PHOTOS": ["/gone/a.jpg", "/gone/b.jpg"]}, "/gone/a.jpg does not exist (and 1 more)"),
        ({"PHOTOS": None, "PHOTOS_FOLDER": "/nowhere"}, "the folder /nowhere does not exist"),
        ({"ADDRESS": "https://a.example"}, "has no {z}, {x} and {y}"),
        ({"REFERENCE": "/gone.tif"}, "Reference: the layer or file cannot be opened"),
    ],
)
def test_what_searches_refuse(fill, name, parameters, said):
    assert said in fill.fault(name, **parameters)


def test_more_that_searches_refuse(fill):
    one = fill.photos[:1]
    assert "at least two photos" in fill.fault("locate_search", PHOTOS=one, SEQUENCE=True)
    assert "only for photos that belong together" in fill.fault("locate_search", TRACK=fill.photos[0])
    assert "Known positions" in fill.fault("locate_evaluate", POSITIONS="/gone.gpkg")
    assert "holds no photos" in fill.fault("locate_search", PHOTOS=None, PHOTOS_FOLDER=str(fill.index))
    (fill.index / "card.json").rename(fill.index / "other.json")
    (fill.folder / ".index.building").mkdir()
    assert "is not finished" in fill.fault("locate_search")


# what a layer is


def test_what_layers_are(fill):
    ortho = QgsRasterLayer(fill.ortho, "ortho")
    assert source_of(ortho) == ReferenceSource(FILE) and attribution_of(ortho) == ""
    xyz = f"type=xyz&url={TILE_ADDRESS}"
    assert source_of(QgsRasterLayer(xyz, "t", "wms")).kind == TILES
    for more in (
        "&http-header:referer=https://a.example",
        "&authcfg=a1b2c3d",
        "&tilePixelRatio=2",
        "&interpretation=x",
    ):
        assert source_of(QgsRasterLayer(xyz + more, "t", "wms")).kind == DRAWN, more
    wms = QgsRasterLayer("crs=EPSG:4326&format=image/png&layers=a&styles=&url=http://127.0.0.1:9/wms", "w", "wms")
    assert source_of(wms) == ReferenceSource(DRAWN, host="127.0.0.1")
    assert is_tiles(TILE_ADDRESS) and is_tiles(xyz) and not is_tiles(fill.ortho) and not is_tiles(None)
    assert tiles_of(xyz + "&zmax=17") == ReferenceSource(TILES, TILE_ADDRESS, 17, "tiles.example.org")
    written = "type=xyz&url=http%3A//127.0.0.1%3A9/%7Bz%7D/%7Bx%7D/%7By%7D.png%3Fk%3Da%252Fb"
    plain = ReferenceSource(TILES, "http://127.0.0.1:9/{z}/{x}/{y}.png?k=a%2Fb", None, "127.0.0.1")
    assert tiles_of(written) == source_of(QgsRasterLayer(written, "t", "wms")) == plain, "escaped as scripts do"
    local = tiles_of("type=xyz&url=file:///tmp/t/{z}/{x}/{y}.png")
    assert local.host == "" and local.address.endswith("/tmp/t/{z}/{x}/{y}.png")


def test_a_file_with_a_colour_table_is_drawn(fill):
    path = str(fill.folder / "table.tif")
    made = gdal.GetDriverByName("GTiff").Create(path, 8, 8, 1, gdal.GDT_Byte)
    table = gdal.ColorTable()
    table.SetColorEntry(1, (200, 10, 10, 255))
    made.GetRasterBand(1).SetColorTable(table)
    made.GetRasterBand(1).WriteArray(np.ones((8, 8), np.uint8))
    made = None
    assert source_of(QgsRasterLayer(path, "table")).kind == DRAWN


# pixels of what is drawn


@pytest.mark.parametrize("crs", ["EPSG:32633", "EPSG:3857", "EPSG:4326", "EPSG:3035"])
def test_drawn_pixels_are_of_a_size_on_the_ground_in_any_crs(fill, crs):
    whole = fill.folder / "whole.tif"
    gdal.Warp(str(whole), fill.ortho, dstSRS=crs)
    picture = LayerPicture(
        QgsRasterLayer(str(whole), "whole"), what="Reference", transforms=fill.context.transformContext()
    )
    region = QgsRectangle(15.001, 50.546, 15.004, 50.548)
    grid = picture.grid(region, finest_m=0.3, coarsest_m=0.92)
    box = picture.box(grid, region, reach_m=40)
    extent = grid.extent(box)
    reference = QgsCoordinateReferenceSystem(crs)
    distance = QgsDistanceArea()
    distance.setSourceCrs(reference, QgsProject.instance().transformContext())
    distance.setEllipsoid("WGS84")
    centre = extent.center()
    for step in (QgsPointXY(grid.step_x, 0), QgsPointXY(0, grid.step_y)):
        ahead = QgsPointXY(centre.x() + 100 * step.x(), centre.y() + 100 * step.y())
        assert distance.measureLine(centre, ahead) == pytest.approx(30, rel=0.01)
    back = QgsCoordinateTransform(reference, QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance())
    seen = back.transformBoundingBox(extent)
    reach = 39 / 111_195
    assert seen.yMaximum() > region.yMaximum() + reach and seen.xMinimum() < region.xMinimum() - reach


def test_a_picture_beyond_the_layer_or_too_large_is_refused(fill):
    layer = QgsRasterLayer(fill.ortho, "ortho")
    picture = LayerPicture(layer, what="Reference", transforms=fill.context.transformContext())
    region = QgsRectangle(15.001, 50.546, 15.004, 50.548)
    fine = picture.grid(region, finest_m=0.01, coarsest_m=0.02)
    with pytest.raises(LayerFault, match=r"more than 250 million\. Choose a smaller region"):
        picture.box(fine, region, reach_m=40)
    with pytest.raises(LayerFault, match="outside of the reference 'ortho'"):
        picture.box(fine, QgsRectangle(12, 50, 12.1, 50.1), reach_m=40)


# the folder of drawn imagery


def test_pictures_join_on_one_grid(tmp_path, qgis_app):
    crs = QgsCoordinateReferenceSystem("EPSG:32633")
    grid = store.PictureGrid("source", crs, 0.5, 0.25)
    index = tmp_path / "town"
    boxes = [grid.box(QgsRectangle(100.2, 50.1, 104.0, 52.0)), grid.box(QgsRectangle(103.0, 50.6, 109.9, 53.3))]
    rng = np.random.default_rng(1)
    whole = {}
    for box in boxes:
        extent = grid.extent(box)
        path = store.part_path(index, grid, box)
        path.parent.mkdir(exist_ok=True)
        made = gdal.GetDriverByName("GTiff").Create(str(path), box.width, box.height, 4)
        made.SetGeoTransform((extent.xMinimum(), 0.5, 0, extent.yMaximum(), 0, -0.25))
        values = rng.integers(0, 255, (4, box.height, box.width), np.uint8)
        made.WriteArray(values)
        made = None
        for row in range(box.height):
            for col in range(box.width):
                whole[box.row + row, box.col + col] = values[:, row, col]
    path = store.write_mosaic(index, grid)
    assert path == store.mosaic_path(index, "source", crs)
    joined = gdal.Open(str(path))
    left, _, _, top, _, _ = joined.GetGeoTransform()
    found = joined.ReadAsArray()
    assert joined.GetRasterBand(4).GetColorInterpretation() == gdal.GCI_AlphaBand
    for (row, col), values in whole.items():
        at = found[:, row + round(top / 0.25), col - round(left / 0.5)]
        own = [b for b in boxes if b.row <= row < b.row + b.height and b.col <= col < b.col + b.width]
        assert len(own) == 2 or (at == values).all()
    assert found[:, 0, 0].sum() == 0 or (0, 0) in whole, "transparent where no picture is"
    assert store.kept_grid(index, "source", crs) == grid and store.kept_grid(index, "other", crs) is None


def test_imagery_of_no_index_is_removed_and_of_an_index_kept(tmp_path, qgis_app):
    index = tmp_path / "town"
    kept = store.kept_text(index, "reference", "<VRTDataset/>")
    (tmp_path / ".town.building").mkdir()
    store.remove_unused(index)
    assert kept.is_file(), "a run that was stopped goes on with it"
    (tmp_path / ".town.building").rmdir()
    (kept.parent / "notes.txt").write_text("the user's own")
    store.remove_unused(index)
    assert not kept.exists() and (kept.parent / "notes.txt").is_file()
