"""The Land cover tab: scenes, the classes before the run, and the parameters of both pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsVectorLayer

from plugin.gui.area_picker import CANVAS, LAYER
from plugin.gui.change_form import ChangeForm
from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.landcover_form import LandcoverForm
from plugin.gui.scene_list import SceneList
from plugin.layers.legends import legend_of_card, read_legend, shipped_legends
from plugin.processing.definitions import DIALOG_ONLY

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")


@pytest.fixture
def second(scene, tmp_path) -> QgsRasterLayer:
    path = tmp_path / "Ebro_S2.tif"
    path.write_bytes(Path(scene.source()).read_bytes())
    layer = QgsRasterLayer(str(path), "Ebro S2")
    QgsProject.instance().addMapLayer(layer)
    return layer


@pytest.fixture
def models(tmp_path, monkeypatch) -> Path:
    """A folder of models with one card: two classes of ESA WorldCover and one of the model's own."""
    folder = tmp_path / "models"
    (folder / "fields").mkdir(parents=True)
    classes = [{"value": 10, "name": "Tree cover"}, {"value": 40, "name": "Maize", "color": "#123456"},
               {"value": 201, "name": "Solar park"}]  # fmt: skip
    card = {"task": "landcover", "title": "Fields", "legend": "worldcover", "classes": classes, "unknown_below": 0.35}
    (folder / "fields" / "card.json").write_text(json.dumps(card))
    (folder / "landcover").mkdir()
    (folder / "landcover" / "card.json").write_text(json.dumps(card | {"title": "Starter", "unknown_below": 0}))
    monkeypatch.setenv("SAMESCENE_MODELS", str(folder))
    return folder


def test_scenes_are_added_and_removed_and_named_once(iface, scene, second):
    scenes = SceneList("tip")
    assert scenes.values() == [] and len(scenes.pickers()) == 1
    scenes.pickers()[0].set_layer(scene)
    scenes.add.click()
    scenes.add.click()
    scenes.pickers()[2].set_layer(second)
    assert scenes.values() == [scene.id(), second.id()], "an empty row is no scene"
    scenes.pickers()[1].set_layer(second)
    assert scenes.duplicate() and scenes.values() == [scene.id(), second.id()]
    seen = []
    scenes.changed.connect(lambda: seen.append(scenes.values()))
    scenes._rows[0][2].click()
    assert seen[-1] == [second.id()]
    scenes.set_layers([second, scene])
    assert scenes.values() == [second.id(), scene.id()]
    scenes.set_layers([])
    assert scenes.values() == [] and scenes._rows[0][2].isHidden(), "the last row stays"


def test_legends_that_ship_can_be_shown():
    legends = shipped_legends(ROOT)
    assert legends[0].name == "worldcover" and len(legends) >= 4
    assert all(one.classes and all(c.definition and c.color.startswith("#") for c in one.classes) for one in legends)


def test_a_broken_legend_or_card_is_no_crash(tmp_path):
    (tmp_path / "x.json").write_text('{"classes": [1]}')
    assert read_legend(tmp_path / "x.json") is None and read_legend(tmp_path / "none.json") is None
    assert legend_of_card({"classes": [{"value": "x"}]}, []) is None
    assert legend_of_card({"classes": 3, "legend": 4}, []) is None


def test_the_classes_are_shown_before_the_run(iface, models):
    form = LandcoverForm(iface.canvas)
    form.model.set_value("fields")
    shown = form.view.classes()
    assert [(code, name) for code, name, _ in shown] == [(10, "Tree cover"), (40, "Maize"), (201, "Solar park")]
    assert "10 % of the ground" in shown[0][2], "the definition is WorldCover's"
    assert form.unknown.specialValueText() == "the model's own: 35 %"
    form.view.list.setCurrentRow(0)
    assert "Trees cover 10 %" in form.view.definition.text()
    form.view.list.setCurrentRow(2)
    assert "no definition" in form.view.definition.text()
    form.legend.set_value("dfc2020")
    assert form.view.classes()[0][1] == "Forest"
    form.legend.set_value("")
    form.model.set_value("no such model")
    assert form.view.classes() == [] and "no such model" in form.view.title.text()


def test_the_form_says_what_is_missing(iface, scene, second, models, tmp_path):
    form = LandcoverForm(iface.canvas)
    assert "Choose a scene" in form.fault()[0]
    form.scenes.set_layers([scene, scene])
    assert "twice" in form.fault()[0]
    form.scenes.set_layers([scene])
    form.scl.set_layer(scene)
    assert "SCL" in form.fault()[0]
    form.scl.set_layer(None)
    assert form.fault() == ("", None)
    assert form.out.folder() == str(tmp_path / "Ebro_landcover")
    form.model.set_value("gone")
    assert "gone" in form.fault()[0]


def test_without_any_model_the_form_says_how_to_get_one(iface, scene, monkeypatch):
    monkeypatch.setattr("plugin.gui.model_choice.model_folders", lambda root: [])
    form = LandcoverForm(iface.canvas)
    form.scenes.set_layers([scene])
    assert "no land-cover model yet" in form.fault()[0]


def test_auto_is_content_with_either_starter_model(iface, models):
    form = LandcoverForm(iface.canvas)
    assert form.model.card()["title"] == "Starter"
    (models / "landcover").rename(models / "landcover-s1s2")
    assert form.model.card()["title"] == "Starter"


def test_a_model_folder_may_be_typed(iface, models):
    form = LandcoverForm(iface.canvas)
    form.model.set_value(str(models / "fields"))
    assert form.model.card()["title"] == "Fields"
    assert form.model.parameters() == {"MODEL_FOLDER": str(models / "fields")}
    form.model.set_value("fields")
    assert form.model.parameters() == {"MODEL": "fields"}


def test_a_model_that_was_trained_meanwhile_is_offered(iface, models):
    form = LandcoverForm(iface.canvas)
    form.model.set_value("fields")
    (models / "newer").mkdir()
    (models / "newer" / "card.json").write_text((models / "fields" / "card.json").read_text())
    form.fill(sources=[], model="newer")
    assert form.model.combo.findText("newer") > 0 and form.model.value() == "newer"


def test_forms_remember(iface, scene, second, models):
    form = LandcoverForm(iface.canvas)
    form.scenes.set_layers([scene, second])
    form.model.set_value("fields")
    form.min_area.setValue(250)
    form.legend.set_value("dynamic-world")
    form.save()
    change = ChangeForm(iface.canvas)
    change.map_a.set_layer(scene)
    change.map_b.set_layer(second)
    change.save()
    again = LandcoverForm(iface.canvas)
    again.restore()
    assert again.scenes.values() == [scene.id(), second.id()]
    assert (again.model.value(), again.min_area.value(), again.legend.value()) == ("fields", 250, "dynamic-world")
    other = ChangeForm(iface.canvas)
    other.restore()
    assert (other.map_a.layer(), other.map_b.layer()) == (scene, second)


def test_change_says_what_is_missing(iface, scene, second):
    form = ChangeForm(iface.canvas)
    assert "earlier" in form.fault()[0]
    form.map_a.set_layer(scene)
    assert "later" in form.fault()[0]
    form.map_b.set_layer(scene)
    assert "same" in form.fault()[0]
    form.map_b.set_layer(second)
    assert form.fault() == ("", None) and form.out.folder().endswith("_change")


def definitions(name: str) -> dict:
    algorithm = QgsApplication.processingRegistry().createAlgorithmById(name)
    return {definition.name(): definition.defaultValue() for definition in algorithm.parameterDefinitions()}


def test_an_untouched_form_equals_the_algorithms_defaults(iface, scene, second, provider, models):
    form = LandcoverForm(iface.canvas)
    form.scenes.set_layers([scene])
    change = ChangeForm(iface.canvas)
    change.map_a.set_layer(scene)
    change.map_b.set_layer(second)
    for name, given in (("samescene:landcover", form), ("samescene:landcover_change", change)):
        known = definitions(name)
        for key, value in given.parameters().items():
            if key not in ("SCENES", "MAP_A", "MAP_B", "OUTPUT", "LOAD_RESULTS"):
                assert value == known[key], f"{name} {key}"


def test_every_parameter_can_be_given_in_the_dock(iface, scene, second, provider, models):
    zones = QgsVectorLayer("Polygon?crs=EPSG:32630&field=name:string", "zones", "memory")
    QgsProject.instance().addMapLayer(zones)
    form = LandcoverForm(iface.canvas)
    form.scenes.set_layers([scene])
    form.scl.set_layer(second)
    form.legend.set_value("dfc2020")
    form.unknown.setValue(40)
    form.options.bands.setText("VV=1,VH=2")
    form.options.observed_at.setText("2020-01-01")
    change = ChangeForm(iface.canvas)
    change.map_a.set_layer(scene)
    change.map_b.set_layer(second)
    change.legend.set_value("dfc2020")
    for name, filled in (("samescene:landcover", form), ("samescene:landcover_change", change)):
        filled.zones_box.zones.set_layer(zones)
        filled.zones_box.field.setField("name")
        given = filled.parameters()
        filled.area.kind.setCurrentIndex(LAYER)
        filled.area.layer.set_layer(zones)
        given.update(filled.parameters())
        filled.area.kind.setCurrentIndex(CANVAS)
        given.update(filled.parameters())
        assert set(definitions(name)) - set(given) <= set(DIALOG_ONLY), name
        assert set(given) <= set(definitions(name)), name


def test_the_tab_takes_over_from_another(iface, registry, provider, scene, models):
    dock = SameSceneDock(iface, registry, EngineSetup())
    dock.workspace.show_tab("landcover", {"sources": [scene.source()], "model": str(models / "fields")})
    assert dock.tabs.current == "landcover" and dock.landcover.current == "map"
    form = dock.landcover.map.form
    assert form.scenes.values() == [scene.id()] and form.model.value() == str(models / "fields")
    dock.shut_down()
