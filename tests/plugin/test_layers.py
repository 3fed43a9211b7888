"""Results as layers: names, groups, styles, time, metadata, threshold; on small real files."""

from __future__ import annotations

import json
import runpy
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from gui_support import spin
from hypothesis import given
from hypothesis import strategies as st
from osgeo import gdal, ogr, osr
from qgis.core import (
    QgsCategorizedSymbolRenderer,
    QgsGraduatedSymbolRenderer,
    QgsLayerNotesUtils,
    QgsPalettedRasterRenderer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRasterBlockFeedback,
    QgsRasterLayer,
    QgsRectangle,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDateTime, Qt, QTimer

from plugin.gui.result_loader import ResultLoader
from plugin.layers import names
from plugin.layers.area_table import AreaTableError, area_by_threshold
from plugin.layers.metadata import sensors, time_range
from plugin.layers.palette import area_breaks
from plugin.layers.results import (
    ResultsError,
    add_to_context,
    load_results,
    read_result,
    results_to_load,
    run_layers,
)
from plugin.layers.styles import save_default_styles
from plugin.layers.threshold import ThresholdView, layer_threshold

ROOT = Path(__file__).resolve().parents[2]
gdal.UseExceptions()

CODES = np.array([[0, 1, 2, 2], [0, 3, 254, 255], [2, 2, 0, 0]], np.uint8)
PROBABILITY = np.array([[10, 95, 60, 90], [49, 50, 255, 255], [55, 80, 30, 0]], np.uint8)


def _raster(path: Path, values: np.ndarray, tags: dict[str, str]) -> None:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32630)
    made = gdal.GetDriverByName("GTiff").Create(str(path), values.shape[1], values.shape[0], 1, gdal.GDT_Byte)
    made.SetGeoTransform((500000, 10, 0, 4400000, 0, -10))
    made.SetProjection(reference.ExportToWkt())
    made.SetMetadata(tags)
    made.GetRasterBand(1).WriteArray(values)
    made.GetRasterBand(1).SetNoDataValue(255)
    made = None


def _geopackage(path: Path, *, zones: bool) -> None:
    reference = osr.SpatialReference()
    reference.ImportFromEPSG(32630)
    made = ogr.GetDriverByName("GPKG").CreateDataSource(str(path))
    polygons = made.CreateLayer("polygons", reference, ogr.wkbPolygon)
    for name, kind in (("class", ogr.OFTString), ("area_m2", ogr.OFTReal), ("mean_probability", ogr.OFTReal),
                       ("observed_at", ogr.OFTString)):  # fmt: skip
        polygons.CreateField(ogr.FieldDefn(name, kind))
    for row, name in enumerate(("flood", "reference water")):
        feature = ogr.Feature(polygons.GetLayerDefn())
        feature.SetField("class", name)
        feature.SetField("area_m2", 12_300.0 * (row + 1))
        feature.SetField("mean_probability", 88.0)
        y = 4400000 - 10 * row
        feature.SetGeometry(
            ogr.CreateGeometryFromWkt(f"POLYGON((500000 {y},500020 {y},500020 {y - 10},500000 {y - 10},500000 {y}))")
        )
        polygons.CreateFeature(feature)
    if zones:
        table = made.CreateLayer("zones", reference, ogr.wkbMultiPolygon)
        for name in ("flooded_best_m2", "flooded_low_m2", "flooded_high_m2", "observed_percent"):
            table.CreateField(ogr.FieldDefn(name, ogr.OFTReal))
        table.CreateField(ogr.FieldDefn("zone_id", ogr.OFTString))
        for number in range(3):
            feature = ogr.Feature(table.GetLayerDefn())
            feature.SetField("zone_id", f"Zone {number}")
            feature.SetField("flooded_best_m2", 2e6 * number)
            x = 500000 + 10 * number
            feature.SetGeometry(ogr.CreateGeometryFromWkt(
                f"MULTIPOLYGON((({x} 4400000,{x + 9} 4400000,{x + 9} 4399970,{x} 4399970,{x} 4400000)))"))  # fmt: skip
            table.CreateFeature(feature)
    made = None


@pytest.fixture
def make_result(tmp_path):
    """A function that makes a result folder as the engine leaves it."""

    def make(name="out", *, zones=True, observed_at="2019-09-17T06:03:00Z", tags=None, excluded=True) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        _raster(folder / "flood.tif", CODES, tags or {})
        _raster(folder / "water_probability.tif", PROBABILITY, {})
        outputs = {"flood": "flood.tif", "water_probability": "water_probability.tif", "polygons": "flood.gpkg"}
        if excluded:
            _raster(folder / "excluded.tif", np.where(CODES == 254, 2, 0).astype(np.uint8), {})
            outputs["excluded"] = "excluded.tif"
        _geopackage(folder / "flood.gpkg", zones=zones)
        pixels = {"dry": 4, "reference_water": 1, "flood": 4, "water": 1, "excluded": 1, "not_observed": 1}
        zone_rows = [{"zone_id": f"Zone {n}", "flooded_best_m2": 2e6 * n} for n in range(3)] if zones else []
        result = {
            "job": "flood",
            "outputs": outputs,
            "inputs": {"post": {"path": "/data/Spain_7370579_S1.tif", "sha256": "ab" * 32, "acquired": observed_at}},
            "parameters": {
                "post": "/data/Spain_7370579_S1.tif",
                "probability": 50,
                "zones": "z.gpkg" if zones else None,
            },
            "engine_version": "0.1.0",
            "command": "engine flood /data/Spain_7370579_S1.tif -o out",
            "warnings": ["The scene <is> small."],
            "figures": {"observed_at": observed_at, "method": "threshold", "pixels": pixels, "zones": zone_rows},
        }
        (folder / "result.json").write_text(json.dumps(result))
        return folder

    yield make
    QgsProject.instance().clear()


def drawn(layer: QgsRasterLayer) -> np.ndarray:
    """Alpha of the layer's pixels as they are drawn."""
    block = layer.renderer().block(
        1, QgsRectangle(layer.extent()), layer.width(), layer.height(), QgsRasterBlockFeedback()
    )
    return np.array([[block.color(r, c) >> 24 & 255 for c in range(layer.width())] for r in range(layer.height())])


def test_colours_and_names_are_those_of_the_engine():
    engine = runpy.run_path(str(ROOT / "engine" / "mapping" / "flood" / "classes.py"))
    for known in names.FLOOD_CLASSES:
        assert engine["CLASS_NAMES"][known.value] == known.name
        assert "#{:02X}{:02X}{:02X}".format(*engine["CLASS_COLORS"][known.value][:3]) == known.color
    for code, name, color in names.EXCLUDED_REASONS:
        assert engine["REASON_NAMES"][code] == name
        assert "#{:02X}{:02X}{:02X}".format(*engine["REASON_COLORS"][code][:3]) == color


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/data/Spain_7370579_S1.tif", "Spain_7370579"),
        ("C:\\scenes\\Po 2020.tiff", "Po 2020"),
        ("https://host/a/S1A_IW_GRDH_1SDV.tif?x=y.z", "S1A_IW_GRDH_1SDV"),
        ("/vsizip/é.SAFE", "é"),
        ("", "scene"),
    ],
)
def test_a_scene_is_called_by_its_file(path, expected):
    assert names.scene_name({"inputs": {"post": {"path": path}}}) == expected


def test_the_window_goes_on_between_two_layers(make_result):
    order = []
    loader = ResultLoader(str(make_result()))
    beat = QTimer()
    beat.timeout.connect(lambda: order.append("beat"))
    added = lambda _: order.append("layer")  # noqa: E731
    QgsProject.instance().layersAdded.connect(added)
    loader.ended.connect(lambda *_: order.append("end"))
    beat.start(1)
    loader.start()
    spin(lambda: "end" in order)
    QgsProject.instance().layersAdded.disconnect(added)
    layers = [place for place, what in enumerate(order) if what == "layer"]
    assert len(layers) == 5 and not loader.fault
    assert all("beat" in order[one:other] for one, other in pairwise(layers)), order


def test_layers_stand_in_one_group_in_order_with_names_a_person_gives(make_result):
    layers = load_results(make_result())
    group = QgsProject.instance().layerTreeRoot().children()[0]
    assert group.name() == "SameScene – Flood Spain_7370579 2019-09-17"
    assert [node.name() for node in group.children()] == [
        "Flooded area by zone 2019-09-17 – Spain_7370579",
        "Water polygons 2019-09-17 – Spain_7370579",
        "Flood 2019-09-17 – Spain_7370579",
        "Water probability 2019-09-17 – Spain_7370579",
        "Set aside, by reason 2019-09-17 – Spain_7370579",
    ]
    assert [node.itemVisibilityChecked() for node in group.children()] == [True, True, True, False, False]
    assert all(layer.isValid() for layer in layers)
    assert len(QgsProject.instance().layerTreeRoot().findLayers()) == 5


def test_loading_again_replaces_and_two_runs_have_two_groups(make_result):
    first, second = make_result("a"), make_result("b")
    load_results(first)
    load_results(first)
    load_results(second)
    assert len(QgsProject.instance().mapLayers()) == 10
    assert [group.name() for group in QgsProject.instance().layerTreeRoot().children()] == [
        "SameScene – Flood Spain_7370579 2019-09-17 (2)",
        "SameScene – Flood Spain_7370579 2019-09-17",
    ]
    assert set(run_layers(first)) == {"zones", "polygons", "flood", "probability", "excluded"}


def test_what_was_not_made_is_not_loaded(make_result):
    folder = make_result(zones=False, excluded=False)
    (folder / "excluded.tif").write_bytes(b"of an earlier run")
    assert [item.role for item in results_to_load(read_result(folder), folder)] == ["polygons", "flood", "probability"]


def test_a_folder_without_result_is_told_in_one_line(tmp_path):
    with pytest.raises(ResultsError, match=r"result\.json") as told:
        load_results(tmp_path)
    assert "\n" not in str(told.value)


def test_legend_shows_the_classes_that_occur_and_no_other(make_result):
    load_results(make_result())
    flood = run_layers_of(make_result)["flood"]
    renderer = flood.renderer()
    assert isinstance(renderer, QgsPalettedRasterRenderer)
    assert [entry.label for entry in renderer.classes()] == [
        "flood", "reference water", "water (no reference)", "set aside"]  # fmt: skip
    assert (drawn(flood) > 0).tolist() == ((CODES > 0) & (CODES < 255)).tolist()


def run_layers_of(_make):
    folder = next(iter(QgsProject.instance().mapLayers().values())).customProperty("samescene/run")
    return run_layers(folder)


def test_polygons_are_outlined_by_class_and_zones_graded(make_result):
    load_results(make_result())
    layers = run_layers_of(make_result)
    renderer = layers["polygons"].renderer()
    assert isinstance(renderer, QgsCategorizedSymbolRenderer)
    assert [c.value() for c in renderer.categories()] == ["flood", "reference water", "water (no reference)"]
    zones = layers["zones"]
    assert isinstance(zones.renderer(), QgsGraduatedSymbolRenderer)
    assert zones.labelsEnabled()
    assert zones.attributeDisplayName(zones.fields().lookupField("flooded_best_m2")) == "Flooded, best estimate (m²)"
    assert [(r.lowerValue(), r.upperValue()) for r in zones.renderer().ranges()] == [(0, 2), (2, 4)]


@pytest.mark.parametrize(
    ("areas", "breaks"),
    [
        ([], []),
        ([5e6, 5e6], []),
        ([2.6e6, 0.16e6, 0.94e6, 0.95e6], [0.16, 0.94, 0.95, 2.6]),
        ([n * 1e6 for n in range(100)], [0, 20, 40, 59, 79, 99]),
        ([1234.0, 1300.0], [0.0, 0.01]),
    ],
)
def test_zone_classes_rise_and_cover_every_zone(areas, breaks):
    assert area_breaks(areas) == pytest.approx(breaks)


@given(st.lists(st.floats(0, 1e10), min_size=1, max_size=30))
def test_every_zone_has_a_class(areas):
    breaks = area_breaks(areas)
    assert breaks == sorted(set(breaks))
    if breaks:
        assert len(breaks) <= 6
        assert breaks[0] <= min(areas) / 1e6 and max(areas) / 1e6 <= breaks[-1]


def test_time_range_is_the_acquisition(make_result):
    load_results(make_result())
    expected = QDateTime.fromString("2019-09-17T06:03:00Z", Qt.DateFormat.ISODate)
    for layer in run_layers_of(make_result).values():
        time = layer.temporalProperties()
        assert time.isActive()
        assert time.fixedTemporalRange().begin() == expected
        assert time.fixedTemporalRange().end() == expected


def test_time_range_of_a_date_is_the_day_and_of_nothing_none():
    day = time_range("2019-09-17")
    assert day.contains(QDateTime.fromString("2019-09-17T23:59:59Z", Qt.DateFormat.ISODate))
    assert not day.contains(QDateTime.fromString("2019-09-18T00:00:00Z", Qt.DateFormat.ISODate))
    assert time_range("") is None
    assert time_range("yesterday") is None


def test_metadata_tells_where_a_layer_comes_from(make_result):
    load_results(make_result())
    for role, layer in run_layers_of(make_result).items():
        metadata = layer.metadata()
        assert metadata.title() == layer.name()
        assert metadata.abstract()
        assert metadata.crs().authid() == "EPSG:32630"
        assert "Contains modified Copernicus Sentinel data 2019" in metadata.rights()
        history = "\n".join(metadata.history())
        assert "engine flood /data/Spain_7370579_S1.tif -o out" in history
        assert "sha256 " + "ab" * 32 in history
        assert metadata.extent().spatialExtents()[0].bounds.xMinimum() == layer.extent().xMinimum(), role
        assert "&lt;is&gt;" in QgsLayerNotesUtils.layerNotes(layer)


def test_a_simulated_scene_is_not_attributed_to_copernicus(make_result):
    load_results(make_result(tags={"SIMULATED": "yes"}))
    metadata = run_layers_of(make_result)["flood"].metadata()
    assert metadata.rights() == []
    assert "simulated" in metadata.abstract()


def _view(make_result) -> ThresholdView:
    load_results(make_result())
    layers = run_layers_of(make_result)
    return ThresholdView(flood_id=layers["flood"].id(), probability_id=layers["probability"].id(), run_percent=50)


@pytest.mark.parametrize("percent", [0, 1, 49, 50, 51, 60, 80, 100])
def test_the_probability_layer_shows_exactly_its_cut(make_result, percent):
    view = _view(make_result)
    view.set_percent(percent)
    expected = (percent <= PROBABILITY) & (PROBABILITY != 255)
    assert ((drawn(view.probability) > 0) == expected).all()
    assert layer_threshold(view.probability) == percent


def test_the_slider_hides_what_depends_on_the_threshold_and_comes_back(make_result):
    view = _view(make_result)
    root = QgsProject.instance().layerTreeRoot()
    before = drawn(view.flood)
    view.set_percent(80)
    assert (drawn(view.flood)[np.isin(CODES, (2, 3))] == 0).all()
    assert (drawn(view.flood)[np.isin(CODES, (1, 254))] == 255).all()
    assert root.findLayer(view.probability.id()).itemVisibilityChecked()
    assert view.percent() == 80
    view.set_percent(50)
    assert (drawn(view.flood) == before).all()
    assert not root.findLayer(view.probability.id()).itemVisibilityChecked()
    assert view.percent() == 50


def test_the_slider_survives_layers_that_were_removed(make_result):
    view = _view(make_result)
    QgsProject.instance().removeMapLayer(view.flood.id())
    view.set_percent(70)
    QgsProject.instance().removeMapLayer(view.probability.id())
    view.set_percent(20)
    assert view.percent() == 50


def test_areas_by_threshold_are_those_of_the_pixels(make_result):
    folder = make_result()
    areas = area_by_threshold(str(folder / "flood.tif"), str(folder / "water_probability.tif"))
    pixel = areas[0] / ((PROBABILITY != 255) & (CODES != 1)).sum()
    assert pixel == pytest.approx(100 / 0.9996**2, rel=1e-4), "10 m in UTM, at its central meridian, on the ellipsoid"
    for percent in range(101):
        counted = ((percent <= PROBABILITY) & (PROBABILITY != 255) & (CODES != 1)).sum()
        assert areas[percent] == pytest.approx(counted * pixel)
    assert (
        area_by_threshold(str(folder / "flood.tif"), str(folder / "water_probability.tif"), is_cancelled=lambda: True)
        is None
    )


def test_areas_of_files_that_do_not_fit_are_refused(make_result):
    folder = make_result()
    _raster(folder / "other.tif", CODES[:2], {})
    with pytest.raises(AreaTableError, match="another size"):
        area_by_threshold(str(folder / "flood.tif"), str(folder / "other.tif"))
    with pytest.raises(AreaTableError, match="cannot be read"):
        area_by_threshold(str(folder / "gone.tif"), str(folder / "other.tif"))


def test_files_open_styled_in_a_new_qgis(make_result):
    folder = make_result()
    result = read_result(folder)
    assert save_default_styles(results_to_load(result, folder), result) == []
    flood = QgsRasterLayer(str(folder / "flood.tif"), "alone")
    assert flood.renderer().classes()[0].label == "flood"
    assert layer_threshold(QgsRasterLayer(str(folder / "water_probability.tif"), "alone")) == 50
    polygons = QgsVectorLayer(f"{folder / 'flood.gpkg'}|layername=polygons", "alone", "ogr")
    assert isinstance(polygons.renderer(), QgsCategorizedSymbolRenderer)
    zones = QgsVectorLayer(f"{folder / 'flood.gpkg'}|layername=zones", "alone", "ogr")
    assert isinstance(zones.renderer(), QgsGraduatedSymbolRenderer)


def test_processing_loads_the_same_layers_as_the_dock(make_result):
    folder = make_result()
    result = read_result(folder)
    project = QgsProject.instance()
    context = QgsProcessingContext()
    context.setProject(project)
    processors = add_to_context(result, folder, context, {"flood": "FLOOD"})
    details = context.layersToLoadOnCompletion()
    assert len(details) == len(processors) == 5
    for source, detail in details.items():  # what Processing does with them once the run is complete
        layer = (QgsVectorLayer if "|" in source else QgsRasterLayer)(source, detail.name)
        project.addMapLayer(layer)
        detail.postProcessor().postProcessLayer(layer, context, QgsProcessingFeedback())
    shown = [(node.name(), node.itemVisibilityChecked()) for node in project.layerTreeRoot().children()[0].children()]
    project.clear()
    load_results(folder)
    assert shown == [
        (node.name(), node.itemVisibilityChecked()) for node in project.layerTreeRoot().children()[0].children()
    ]


def test_keywords_name_the_sensors_that_were_mapped_from():
    assert sensors({"inputs": {"post": {"path": "a", "sensor": "s1"}, "s2": {"sensor": "s2"}, "dem": {}}}) == [
        "Sentinel-1",
        "Sentinel-2",
    ]
    assert sensors({"inputs": {"post": {"sensor": "s2"}}}) == ["Sentinel-2"]
    assert sensors({"inputs": {"post": {"path": "older.tif"}, "aoi": "1,2,3,4"}}) == ["Sentinel-1"]
    assert sensors({}) == ["Sentinel-1"]
