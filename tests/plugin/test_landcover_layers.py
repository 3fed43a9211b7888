"""Land-cover results as layers: legends of what occurs, confidence, zones by main class, samples that tell nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsExpression,
    QgsExpressionContext,
    QgsExpressionContextUtils,
    QgsPalettedRasterRenderer,
    QgsProject,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDate

from plugin.layers import names
from plugin.layers.landcover_styles import share_text
from plugin.layers.metadata import result_time
from plugin.layers.products import PRODUCTS, product_of
from plugin.layers.results import load_results, read_result, results_to_load, run_layers, write_styles

gdal.UseExceptions()

CODES = np.array([[10, 10, 40, 40], [10, 0, 40, 255], [80, 80, 40, 0]], np.uint8)
CONFIDENCE = np.array([[95, 90, 39, 40], [59, 20, 75, 255], [74, 89, 60, 30]], np.uint8)
CLASSES = (
    (10, "Tree cover", "#006400"), (40, "Cropland", "#f096ff"), (60, "Bare or sparse vegetation", "#b4b4b4"),
    (80, "Permanent water", "#0064c8"), (0, "unknown", "#606060"),
)  # fmt: skip


def _crs():
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32632)
    return reference


def _raster(path: Path, values: np.ndarray) -> None:
    made = gdal.GetDriverByName("GTiff").Create(str(path), values.shape[1], values.shape[0], 1, gdal.GDT_Byte)
    made.SetGeoTransform((500000, 10, 0, 4400000, 0, -10))
    made.SetProjection(_crs().ExportToWkt())
    made.GetRasterBand(1).WriteArray(values)
    made.GetRasterBand(1).SetNoDataValue(255)
    made = None


def _table(made, name: str, rows: list[dict], kind) -> None:
    layer = made.CreateLayer(name, _crs() if kind != ogr.wkbNone else None, kind)
    for field, value in rows[0].items():
        if field != "wkt":
            types = {str: ogr.OFTString, int: ogr.OFTInteger, float: ogr.OFTReal, bool: ogr.OFTInteger}
            layer.CreateField(ogr.FieldDefn(field, types.get(type(value), ogr.OFTInteger)))
    for row in rows:
        feature = ogr.Feature(layer.GetLayerDefn())
        for field, value in row.items():
            if field == "wkt":
                feature.SetGeometry(ogr.CreateGeometryFromWkt(value))
            elif value is not None:
                feature.SetField(field, value)
        layer.CreateFeature(feature)


def _square(column: int) -> str:
    x = 500000 + 10 * column
    return f"MULTIPOLYGON((({x} 4400000,{x + 9} 4400000,{x + 9} 4399970,{x} 4399970,{x} 4400000)))"


ZONES = [
    {"zone_id": "North", "observed_percent": 100.0, "unknown_m2": 0.0, "class_10_m2": 300.0, "class_40_m2": 100.0,
     "class_60_m2": 0.0, "class_80_m2": 0.0, "wkt": _square(0)},
    {"zone_id": "d'Or", "observed_percent": 50.0, "unknown_m2": 100.0, "class_10_m2": 0.0, "class_40_m2": 1.0,
     "class_60_m2": 0.0, "class_80_m2": 3.0, "wkt": _square(1)},
    {"zone_id": "Sea", "observed_percent": 0.0, "unknown_m2": 0.0, "class_10_m2": 0.0, "class_40_m2": 0.0,
     "class_60_m2": 0.0, "class_80_m2": 0.0, "wkt": _square(2)},
]  # fmt: skip


@pytest.fixture
def make_map(tmp_path):
    """A function that makes a land-cover result as the engine leaves it."""

    def make(name="out", *, zones=True) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        _raster(folder / "landcover.tif", CODES)
        _raster(folder / "confidence.tif", CONFIDENCE)
        pixels = {code: int((code == CODES).sum()) for code, *_ in CLASSES}
        classes = [
            {"code": code, "name": title, "color": color, "pixels": pixels[code], "area_m2": 100.0 * pixels[code],
             "share": pixels[code] / 11, "mean_confidence": 80.0 if pixels[code] else None}
            for code, title, color in CLASSES
        ]  # fmt: skip
        made = ogr.GetDriverByName("GPKG").CreateDataSource(str(folder / "landcover.gpkg"))
        if zones:
            _table(made, "zones", ZONES, ogr.wkbMultiPolygon)
        wanted = ("code", "name", "area_m2", "share", "mean_confidence")
        _table(made, "classes", [{key: row[key] for key in wanted} for row in classes if row["pixels"]], ogr.wkbNone)
        made = None
        result = {
            "job": "landcover",
            "outputs": {"landcover": "landcover.tif", "confidence": "confidence.tif", "tables": "landcover.gpkg"},
            "inputs": {
                "scene_1": {"path": "/data/Po_S2.tif", "sha256": "ab" * 32, "sensor": "s2"},
                "scene_2": {"path": "/data/Po_S1.tif", "sha256": None, "sensor": "s1"},
            },
            "parameters": {"scene": ["/data/Po_S2.tif", "/data/Po_S1.tif"]},
            "model": {"name": "landcover", "sha256": "cd" * 32},
            "engine_version": "0.1.0",
            "command": "engine landcover /data/Po_S2.tif /data/Po_S1.tif -o out",
            "figures": {
                "observed_at": "2023-06-10T10:10:31Z",
                "classes": classes,
                "zones": [{k: v for k, v in row.items() if k != "wkt"} for row in ZONES] if zones else [],
            },
        }
        (folder / "result.json").write_text(json.dumps(result))
        return folder

    yield make
    QgsProject.instance().clear()


@pytest.fixture
def make_sample(tmp_path):
    """A function that makes a sample as the engine leaves it."""

    def make(labels=(None, 10, None)) -> Path:
        folder = tmp_path / "sample"
        folder.mkdir()
        made = ogr.GetDriverByName("GPKG").CreateDataSource(str(folder / "points.gpkg"))
        rows = [
            {"point_id": n, "label": label, "note": "", "wkt": f"POINT({500005 + 10 * n} 4399985)"}
            for n, label in enumerate(labels, 1)
        ]
        _table(made, "points", rows, ogr.wkbPoint)
        made = None
        (folder / "design.json").write_text("{}")
        classes = [{"code": code, "name": title, "color": color} for code, title, color in CLASSES[:-1]]
        result = {
            "job": "assess-sample",
            "outputs": {"points": "points.gpkg", "design": "design.json"},
            "inputs": {"map": {"path": "/maps/Po in June/landcover.tif", "sha256": "ab" * 32}},
            "parameters": {"map": "/maps/Po in June/landcover.tif"},
            "figures": {"points": len(labels), "classes": classes},
        }
        (folder / "result.json").write_text(json.dumps(result))
        return folder

    yield make
    QgsProject.instance().clear()


def texts(layer: QgsVectorLayer, expression: str) -> list:
    """The expression of each feature, in order."""
    found = []
    for feature in layer.getFeatures():
        context = QgsExpressionContext(QgsExpressionContextUtils.globalProjectLayerScopes(layer))
        context.setFeature(feature)
        parsed = QgsExpression(expression)
        found.append(parsed.evaluate(context))
        assert not parsed.hasEvalError(), parsed.evalErrorString()
    return found


def legend_texts(layer) -> list[str]:
    """What the layer tree shows below the layer."""
    from qgis.core import QgsLayerTreeModel

    root = QgsProject.instance().layerTreeRoot()
    model = QgsLayerTreeModel(root)
    return [node.data(0) for node in model.layerLegendNodes(root.findLayer(layer.id()))]


def test_layers_stand_in_one_group_with_names_a_person_gives(make_map):
    folder = make_map()
    load_results(folder)
    (group,) = QgsProject.instance().layerTreeRoot().children()
    assert group.name() == "SameScene – Land cover Po 2023-06-10"
    assert [node.name() for node in group.children()] == [
        "Land cover by zone 2023-06-10 – Po",
        "Land cover 2023-06-10 – Po",
        "Confidence 2023-06-10 – Po",
        "Area by class 2023-06-10 – Po",
    ]
    assert [node.itemVisibilityChecked() for node in group.children()] == [True, True, False, False]


def test_the_legend_shows_the_classes_that_occur_with_their_share(make_map):
    folder = make_map()
    load_results(folder)
    layer = run_layers(folder)["landcover"]
    assert isinstance(layer.renderer(), QgsPalettedRasterRenderer)
    shown = [(int(c.value), c.color.name(), c.label) for c in layer.renderer().classes()]
    assert shown == [
        (10, "#006400", "Tree cover (27 %)"),
        (40, "#f096ff", "Cropland (36 %)"),
        (80, "#0064c8", "Permanent water (18 %)"),
        (0, "#606060", "unknown (18 %)"),
    ]
    assert legend_texts(layer) == [label for *_, label in shown]


@pytest.mark.parametrize(
    ("share", "text"), [(None, ""), (0.0, "0.0 %"), (0.0004, "< 0.1 %"), (0.034, "3.4 %"), (0.999, "100 %")]
)
def test_shares_are_read_at_a_glance(share, text):
    assert share_text(share) == text


def test_confidence_falls_into_the_class_that_its_name_says(make_map):
    folder = make_map()
    load_results(folder)
    layer = run_layers(folder)["confidence"]
    items = layer.renderer().shader().rasterShaderFunction().colorRampItemList()
    limits = [(0, 40), (40, 60), (60, 75), (75, 90), (90, 101)]
    for percent in range(101):
        good, red, green, blue, alpha = layer.renderer().shader().shade(float(percent))
        place = next(n for n, (low, high) in enumerate(limits) if low <= percent < high)
        color = items[place].color
        assert good and (red, green, blue, alpha) == (color.red(), color.green(), color.blue(), 255), percent
    assert legend_texts(layer) == ["below 40 %", "40 – 60 %", "60 – 75 %", "75 – 90 %", "90 % and more"]


def test_zones_are_drawn_by_the_class_that_covers_most(make_map):
    folder = make_map()
    load_results(folder)
    layer = run_layers(folder)["zones"]
    renderer = layer.renderer()
    assert isinstance(renderer, QgsCategorizedSymbolRenderer)
    assert texts(layer, renderer.classAttribute()) == [10, 80, 0]
    assert [(c.value(), c.label()) for c in renderer.categories()] == [
        (10, "mostly tree cover"), (80, "mostly permanent water"), (0, "nothing mapped"),
    ]  # fmt: skip
    label = layer.labeling().settings().fieldName
    assert texts(layer, label) == ["North\nTree cover 75 %", "d'Or\nPermanent water 75 %", "Sea\nnothing mapped"]
    assert texts(layer, layer.displayExpression())[0] == "North, Tree cover 75 %"
    assert layer.attributeDisplayName(layer.fields().lookupField("class_80_m2")) == "Permanent water (m²)"


def test_a_map_without_zones_has_none(make_map):
    folder = make_map(zones=False)
    assert [item.role for item in results_to_load(read_result(folder), folder)] == ["landcover", "confidence", "areas"]


def test_areas_are_a_table(make_map):
    folder = make_map()
    load_results(folder)
    table = run_layers(folder)["areas"]
    assert not table.isSpatial() and texts(table, table.displayExpression())[0] == "Tree cover, 0.00 km²"


def test_metadata_time_and_provenance(make_map):
    folder = make_map()
    load_results(folder)
    for role, layer in run_layers(folder).items():
        metadata = layer.metadata()
        assert metadata.title() == layer.name() and metadata.abstract(), role
        assert metadata.rights() == ["Contains modified Copernicus Sentinel data 2023"]
        assert metadata.keywords()["gmd:topicCategory"] == ["imageryBaseMapsEarthCover"]
        assert {"land cover", "Sentinel-1", "Sentinel-2"} <= set(metadata.keywords()["SameScene"])
        history = "\n".join(metadata.history())
        assert "Input scene_1: /data/Po_S2.tif, sha256 " + "ab" * 32 in history and "Model: landcover" in history
        assert layer.temporalProperties().isActive()
    assert "Method: model landcover." in run_layers(folder)["landcover"].metadata().abstract()


def test_files_open_styled_in_a_new_qgis(make_map):
    folder = make_map()
    assert write_styles(read_result(folder), folder) == []
    alone = QgsRasterLayer(str(folder / "landcover.tif"), "alone")
    assert alone.renderer().classes()[0].label == "Tree cover (27 %)"
    zones = QgsVectorLayer(f"{folder / 'landcover.gpkg'}|layername=zones", "alone", "ogr")
    assert isinstance(zones.renderer(), QgsCategorizedSymbolRenderer)


def test_points_of_a_sample_tell_nothing_of_the_map(make_sample):
    folder = make_sample()
    (layer,) = load_results(folder)
    assert layer.name() == "Points to label – Po in June"
    assert [c.label() for c in layer.renderer().categories()] == ["to label", "labelled"]
    assert texts(layer, layer.renderer().classAttribute()) == [0, 1, 0]
    assert texts(layer, layer.labeling().settings().fieldName) == [1, 2, 3]
    assert texts(layer, layer.displayExpression())[0] == "Point 1"
    setup = layer.editorWidgetSetup(layer.fields().lookupField("label"))
    assert setup.type() == "ValueMap" and {"Tree cover (10)": "10"} in setup.config()["map"]
    colors = {c.symbol().color().name() for c in layer.renderer().categories()}
    assert colors.isdisjoint({color for *_, color in CLASSES})
    assert layer.metadata().rights() == [], "points drawn by chance are no image"


def test_results_of_other_jobs_have_no_layers(tmp_path):
    assert product_of({"job": "assess-report"}) is None
    assert results_to_load({"job": "finetune", "outputs": {}}, tmp_path) == []
    assert product_of({}) is PRODUCTS["flood"], "results of the first release name no job"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/x/S2B_MSIL2A_20230610.SAFE/MTD_MSIL2A.xml", "S2B_MSIL2A_20230610"),
        ("/x/Po in June/landcover.tif", "Po in June"),
        ("landcover.tif", "landcover"),
    ],
)
def test_products_are_called_by_their_folder(path, expected):
    assert names.scene_name({"inputs": {"map": {"path": path}}}) == expected


def test_a_change_spans_the_time_between_its_maps():
    result = {"job": "landcover-change", "figures": {"observed_at_a": "2020-06-01", "observed_at_b": "2023-06-10"}}
    when = result_time(result)
    assert (when.begin().date(), when.end().date()) == (QDate(2020, 6, 1), QDate(2023, 6, 11))
    assert names.layer_name("Change", result) == "Change 2020-06-01 to 2023-06-10 – scene"


# change


def change_result(transitions) -> dict:
    """``result.json`` of a change: (code, from, to, km²) each."""
    names_of = {code: title for code, title, _ in CLASSES}
    return {
        "job": "landcover-change",
        "outputs": {"change": "change.tif"},
        "inputs": {"map_a": {"path": "/m/June 2020/landcover.tif"}, "map_b": {"path": "/m/June 2023/landcover.tif"}},
        "parameters": {"map_a": "/m/June 2020/landcover.tif", "map_b": "/m/June 2023/landcover.tif"},
        "figures": {
            "observed_at_a": "2020-06-01T10:00:00Z",
            "observed_at_b": "2023-06-10T10:00:00Z",
            "classes": [{"code": code, "name": title, "color": color} for code, title, color in CLASSES],
            "transitions": [
                {"code": number, "name": f"{names_of[a]} → {names_of[b]}", "from_code": a, "to_code": b, "pixels": 1,
                 "area_m2": 1e6 * km2}
                for number, a, b, km2 in transitions
            ],
        },
    }  # fmt: skip


def test_changes_are_grouped_by_what_came_and_no_change_is_not_drawn(tmp_path):
    result = change_result(
        [(1, 10, 40, 5.0), (2, 40, 80, 3.0), (3, 80, 40, 2.0), (4, 10, 80, 0.0008), (5, 80, 10, 0.046)]
    )
    _raster(tmp_path / "change.tif", np.array([[0, 1, 2], [3, 4, 255]], np.uint8))
    (tmp_path / "result.json").write_text(json.dumps(result))
    try:
        (layer,) = load_results(tmp_path)
        assert layer.name() == "Land-cover change 2020-06-01 to 2023-06-10 – June 2023"
        assert [(int(c.value), c.label) for c in layer.renderer().classes()] == [
            (1, "Tree cover → Cropland (5.00 km²)"),
            (3, "Permanent water → Cropland (2.00 km²)"),
            (2, "Cropland → Permanent water (3.00 km²)"),
            (4, "Tree cover → Permanent water (800 m²)"),
            (5, "Permanent water → Tree cover (4.6 ha)"),
        ]
        assert layer.renderer().classes()[0].color.name() == "#ad88b8", "0.72 of #f096ff and 0.28 of #006400"
        assert legend_texts(layer)[0] == "Tree cover → Cropland (5.00 km²)" and len(legend_texts(layer)) == 5
    finally:
        QgsProject.instance().clear()


def test_a_legend_of_many_changes_stays_readable(tmp_path):
    pairs = [(a, b) for a, *_ in CLASSES for b, *_ in CLASSES if a != b]
    result = change_result([(n, a, b, 1.0 + n) for n, (a, b) in enumerate(pairs * 2, 1)])
    _raster(tmp_path / "change.tif", np.arange(40, dtype=np.uint8).reshape(4, 10))
    (tmp_path / "result.json").write_text(json.dumps(result))
    try:
        (layer,) = load_results(tmp_path)
        assert len(layer.renderer().classes()) == 40, "all are drawn"
        shown = legend_texts(layer)
        assert len(shown) == 20 and shown[-1] == "21 smaller changes (252 km²)"
    finally:
        QgsProject.instance().clear()
