"""The page of photos: adding, dropping, what is said of each, hiding positions, the layer on the map."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from exif_photos import make_photo
from gui_support import spin
from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QMimeData, QPointF, Qt, QUrl
from qgis.PyQt.QtGui import QDropEvent
from qgis.PyQt.QtTest import QTest

from plugin.engine_client.settings import environment_python
from plugin.gui.dock import SameSceneDock
from plugin.gui.engine_setup import EngineSetup
from plugin.gui.locate.dropped import dropped_paths
from plugin.gui.locate.photo_table import PHOTO_ROLE, lines_of
from plugin.gui.locate.photos_page import PhotosPage
from plugin.layers.photo_layer import PHOTOS_PROPERTY, PhotoLayer
from plugin.photos import wording
from plugin.photos.facts import Photo, PhotoSet, photo_of

ROOT = Path(__file__).resolve().parents[2]
PYTHON = environment_python(ROOT / ".venv-engine")
pytestmark = pytest.mark.usefixtures("fresh_settings", "faults_in_slots")
engine = pytest.mark.skipif(not PYTHON.exists(), reason=f"no engine environment: {PYTHON} (scripts/setup_engine)")


def photo(name, **facts) -> Photo:
    usual = {"kind": "panorama", "width": 8000, "height": 4000, "hfov_deg": 360.0, "vfov_deg": 180.0}
    return photo_of({"path": f"/photos/{name}", **usual, **facts})


LYON = photo("lyon.jpg", lon=4.84, lat=45.75, altitude_m=170.0, heading_deg=128.0, taken_at="2020-12-04T09:48:18+00:00")
FLAT = photo("flat.jpg", kind="photo", hfov_deg=65.0, vfov_deg=50.0, notes=["Not a panorama: a photo of one lens."])
BROKEN = photo("broken.jpg", fault="/photos/broken.jpg: this is no image.", width=0, height=0)


@pytest.fixture
def photos(qgis_app):
    return PhotoSet()


@pytest.fixture
def page(iface, registry, photos, monkeypatch, tmp_path):
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", str(PYTHON))
    dock = SameSceneDock(iface, registry, EngineSetup())
    page = PhotosPage(dock.workspace, photos)
    page.resize(380, 760)
    page.show()
    yield page
    page.shut_down()
    page.close()
    dock.shut_down()


# what is known of photos


def test_facts_become_a_photo_and_what_is_absent_is_not_known():
    one = photo_of({"path": "/a.jpg", "kind": "strip", "notes": ["x"], "something new": 1})
    assert one.notes == ("x",) and one.heading_deg is None and not one.has_position and one.rotation == 0
    with pytest.raises(ValueError, match="kind"):
        photo_of({"path": "/a.jpg", "kind": "hologram"})
    with pytest.raises(KeyError):
        photo_of({})


def test_a_set_keeps_order_and_hides_positions_from_all(photos):
    seen = []
    photos.changed.connect(lambda: seen.append(len(photos.photos())))
    photos.add([LYON, BROKEN])
    photos.add([FLAT])
    assert [one.name for one in photos.photos()] == ["lyon.jpg", "broken.jpg", "flat.jpg"] and seen == [2, 3]
    assert [one.name for one in photos.usable()] == ["lyon.jpg", "flat.jpg"]
    photos.hide_positions = True
    assert not any(one.has_position for one in photos.photos()) and not photos.find("/photos/lyon.jpg").has_position
    assert photos.find("/photos/lyon.jpg").altitude_m is None and photos.find("/photos/lyon.jpg").heading_deg == 128.0
    photos.hide_positions = True
    assert seen == [2, 3, 3], "no change, no signal"
    photos.hide_positions = False
    assert photos.find("/photos/./lyon.jpg") == LYON and photos.find("/photos/gone.jpg") is None
    photos.remove(["/photos/lyon.jpg", "/photos/gone.jpg"])
    photos.remove(["/photos/gone.jpg"])
    assert [one.name for one in photos.photos()] == ["broken.jpg", "flat.jpg"] and len(seen) == 5


def test_plain_words():
    assert wording.shows(LYON) == "360° panorama" and "360" not in wording.shows(FLAT)
    assert (
        wording.shows(photo("s.jpg", kind="strip", hfov_deg=120.0, vfov_deg=60.0)) == "Part of a panorama, 120° × 60°"
    )
    assert wording.shows(photo("s.jpg", vfov_deg=65.45)) == "360° round, 65° high"
    told = " ".join(wording.told(LYON))
    assert "128° SE" in told and "45.75000, 4.84000, 170 m" in told and "2020-12-04 09:48 UTC" in told
    hidden = " ".join(wording.told(LYON, hidden=True))
    assert "45.75" not in hidden and "hidden" in hidden
    assert "no panorama" in " ".join(wording.told(FLAT)) and FLAT.notes[0] in wording.told(FLAT)
    assert wording.told(BROKEN) == ["It cannot be used: this is no image."]
    assert lines_of(LYON, alone=True, hidden=False) == ["lyon.jpg", "360° panorama", "128° SE, position known"]
    assert lines_of(LYON, alone=False, hidden=True)[2] == "position hidden"
    assert lines_of(BROKEN, alone=True, hidden=False) == ["broken.jpg", "this is no image."]


# the layer


def test_the_layer_follows_the_set(photos):
    photos.add([LYON, FLAT, BROKEN])
    keeper = PhotoLayer(photos)
    assert not QgsProject.instance().mapLayers(), "it comes when it is asked for"
    layer = keeper.show()
    assert layer.featureCount() == 1 and keeper.show() is layer
    feature = next(layer.getFeatures())
    point = feature.geometry().constGet()
    assert (point.x(), point.y(), point.z()) == (4.84, 45.75, 170.0)
    assert (feature["direction"], feature["filename"], feature["directory"]) == (128.0, "lyon", "/photos")
    assert feature["timestamp"].toUTC().toString("yyyy-MM-dd HH:mm") == "2020-12-04 09:48"
    photos.hide_positions = True
    assert layer.featureCount() == 0
    photos.hide_positions = False
    photos.add([photo("two.jpg", lon=4.85, lat=45.76)])
    assert layer.featureCount() == 2
    photos.remove(["/photos/lyon.jpg"])
    assert [f["filename"] for f in layer.getFeatures()] == ["two"]
    assert layer.customProperty("skipMemoryLayersCheck")
    seen = []
    keeper.shown.connect(seen.append)
    QgsProject.instance().removeMapLayer(layer.id())
    assert seen == [False] and keeper.layer is None
    photos.add([LYON])
    assert keeper.show().featureCount() == 2
    keeper.shut_down()
    assert not QgsProject.instance().mapLayers()


def test_a_saved_project_brings_no_empty_layer_back(photos, tmp_path):
    keeper = PhotoLayer(photos)
    photos.add([LYON])
    keeper.show()
    assert QgsProject.instance().write(str(tmp_path / "p.qgz"))
    QgsProject.instance().clear()
    assert keeper.layer is None
    assert QgsProject.instance().read(str(tmp_path / "p.qgz"))
    assert not [one for one in QgsProject.instance().mapLayers().values() if one.customProperty(PHOTOS_PROPERTY)]
    keeper.shut_down()


# the page


@engine
def test_files_and_folders_are_added_and_a_broken_one_is_one_line(page, photos, tmp_path):
    make_photo(tmp_path / "in" / "b.jpg", lon=4.84, lat=45.75, heading=128)
    make_photo(tmp_path / "in" / "sub" / "c.jpg", (120, 90))
    (tmp_path / "in" / "broken.jpg").write_text("no photo")
    assert page.empty.isVisible() and not page.on_map.isEnabled()
    page.add([str(tmp_path / "in")])
    assert page.reading and page.cancel.isVisible()
    spin(lambda: not page.reading, 30)
    assert [one.name for one in photos.photos()] == ["b.jpg", "broken.jpg", "c.jpg"]
    assert "1 of 3 photos cannot be used: broken.jpg: this is no image" in page.message.text()
    assert "\n" not in page.message.text() and not page.empty.isVisible() and not page.cancel.isVisible()
    found = photos.find(str(tmp_path / "in" / "b.jpg"))
    assert Path(found.thumbnail).is_file() and found.heading_deg == 128.0
    page.table.select([found.path])
    assert "Its middle looks to 128° SE" in page.details.text() and page.look.isEnabled()
    page.table.select([str(tmp_path / "in" / "broken.jpg")])
    assert "cannot be used" in page.details.text() and not page.look.isEnabled()
    page.add([str(tmp_path / "in" / "b.jpg")])
    spin(lambda: not page.reading, 30)
    assert len(photos.photos()) == 3 and "already" in page.message.text()
    assert [one.name for one in page.table.selected()] == ["broken.jpg"], "the selection stays"


@engine
def test_what_is_dropped_is_added_and_what_comes_meanwhile_follows(page, photos, tmp_path):
    first, second = make_photo(tmp_path / "a ü.jpg"), make_photo(tmp_path / "more" / "b.jpg")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(first), QUrl("https://example.org/x.jpg"), QUrl.fromLocalFile(first)])
    assert dropped_paths(data) == [first]
    copy = Qt.DropAction.CopyAction
    event = QDropEvent(QPointF(5, 5), copy, data, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier)
    page.dropEvent(event)
    page.add([str(tmp_path / "more")])
    spin(lambda: not page.reading, 30)
    assert [one.path for one in photos.photos()] == [first, second]
    assert dropped_paths(QMimeData()) == []


@engine
def test_nothing_there_is_said_and_stopping_adds_nothing(page, photos, tmp_path):
    (tmp_path / "none").mkdir()
    page.add([str(tmp_path / "none")])
    spin(lambda: not page.reading, 30)
    assert "no photos in there" in page.message.text() and not photos.photos()
    for number in range(30):
        make_photo(tmp_path / "many" / f"{number}.jpg", (1200, 600))
    page.add([str(tmp_path / "many")])
    spin(lambda: page.progress_text.text() != "Starting the engine", 20)
    began = time.monotonic()
    page.cancel.click()
    spin(lambda: not page.reading, 10)
    assert time.monotonic() - began < 2.0
    assert not photos.photos() or len(photos.photos()) == 30, "all or nothing"


@engine
def test_the_window_is_never_kept_waiting(page, tmp_path):
    """Reading happens elsewhere; what the window does of it is counted while it turns."""
    for number in range(60):
        make_photo(tmp_path / "many" / f"{number}.jpg", (600, 300), lon=4.8 + number / 1e4, lat=45.7, heading=number)
    page.on_map.setEnabled(True)
    page.on_map.click()
    longest = 0.0
    began = time.thread_time()
    page.add([str(tmp_path / "many")])
    longest = max(longest, time.thread_time() - began)
    from qgis.PyQt.QtWidgets import QApplication

    deadline = time.monotonic() + 30
    while page.reading and time.monotonic() < deadline:
        began = time.thread_time()
        QApplication.processEvents()
        longest = max(longest, time.thread_time() - began)
    for _ in range(20):
        began = time.thread_time()
        QApplication.processEvents()
        longest = max(longest, time.thread_time() - began)
    assert page.layer.layer.featureCount() == 60
    assert longest < 0.1, f"{longest:.3f} s"


def test_without_an_engine_it_says_so(iface, registry, photos, monkeypatch):
    monkeypatch.setenv("SAMESCENE_ENGINE_PYTHON", "/gone/python")
    dock = SameSceneDock(iface, registry, EngineSetup())
    page = PhotosPage(dock.workspace, photos)
    assert not page.add_files.isEnabled()
    page.add(["/a.jpg"])
    assert "/gone/python" in page.message.text() and not page.reading
    page.shut_down()
    dock.shut_down()


def test_hiding_the_map_and_the_selection(page, photos):
    photos.add([LYON, FLAT, photo("two.jpg", lon=4.85, lat=45.76)])
    page.on_map.click()
    layer = page.layer.layer
    assert layer.featureCount() == 2
    seen, looked = [], []
    page.selected.connect(lambda chosen: seen.append([one.name for one in chosen]))
    page.look_asked.connect(lambda one: looked.append(one.name))
    page.table.select([LYON.path])
    assert [f["filename"] for f in layer.selectedFeatures()] == ["lyon"] and seen[-1] == ["lyon.jpg"]
    layer.selectByExpression("\"filename\" = 'two'")
    assert [one.name for one in page.table.selected()] == ["two.jpg"], "the list follows the map"
    page.look.click()
    assert looked == ["two.jpg"]
    page.hide_positions.click()
    assert layer.featureCount() == 0 and photos.hide_positions and "hidden" in page.details.text()
    page.hide_positions.click()
    page.table.clearSelection()
    assert page.details.text() == "3 photos, 2 with a position." and not page.remove.isEnabled()
    page.table.select([LYON.path, FLAT.path])
    page.activateWindow()
    page.table.setFocus()
    spin(page.table.hasFocus, 3)
    QTest.keyClick(page.table, Qt.Key.Key_Delete)
    assert [one.name for one in photos.photos()] == ["two.jpg"] and layer.featureCount() == 1
    QgsProject.instance().removeMapLayer(layer.id())
    assert not page.on_map.isChecked(), "taken out of the project, it is not shown"


def test_rows_sort_and_a_narrow_page_keeps_what_matters(page, photos):
    photos.add([LYON, FLAT, photo("b.jpg", heading_deg=3.0)])

    def names():
        return [page.table.sorted.index(row, 0).data(PHOTO_ROLE).name for row in range(3)]

    assert names() == ["lyon.jpg", "flat.jpg", "b.jpg"], "as they came"
    page.table.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert names() == ["b.jpg", "flat.jpg", "lyon.jpg"]
    page.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    assert names() == ["lyon.jpg", "b.jpg", "flat.jpg"]
    spin(lambda: False, 0.05)
    assert page.table.isColumnHidden(2) and page.table.columnWidth(0) >= 200
    page.resize(700, 600)
    spin(lambda: not page.table.isColumnHidden(2), 2)
    assert not page.table.isColumnHidden(1) and not page.table.isColumnHidden(2)
    assert page.minimumSizeHint().width() <= 380, "fits in a narrow dock"


@engine
def test_points_are_saved_by_the_algorithm(page, photos, provider, tmp_path, monkeypatch):
    from qgis.PyQt.QtWidgets import QFileDialog

    photos.add([photo_of({"path": make_photo(tmp_path / "a.jpg", lon=4.84, lat=45.75), "lon": 4.84, "lat": 45.75})])
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "out"))
    ended = []
    page._workspace.runner.ended.connect(lambda run, good, outputs: ended.append((good, outputs)))
    page.save_points.click()
    spin(lambda: bool(ended), 30)
    assert ended[0][0] and (tmp_path / "out" / "photos.gpkg").is_file()


def test_many_selected_photos_are_hidden_at_once(page, photos):
    """Selected row by row, each told to map and page, a thousand took 47 s."""
    photos.add([photo(f"{n}.jpg", lon=4 + n / 1e4, lat=45.0, heading_deg=n % 360.0) for n in range(400)])
    page.on_map.click()
    page.table.selectAll()
    told = []
    page.selected.connect(lambda chosen: told.append(len(chosen)))
    began = time.thread_time()
    page.hide_positions.click()
    assert time.thread_time() - began < 0.5 and len(page.table.selected()) == 400
    assert len(told) <= 3


def test_the_map_goes_to_the_photos(page, photos, iface):
    assert not page.zoom.isEnabled()
    photos.add([LYON, FLAT, photo("far.jpg", lon=5.4, lat=45.2)])
    iface.canvas.setDestinationCrs(QgsCoordinateReferenceSystem("EPSG:32631"))
    page.table.select([LYON.path])
    page.zoom.click()
    near = iface.canvas.extent()
    assert 150 < min(near.width(), near.height()) < 300 and near.contains(in_utm31(4.84, 45.75))
    page.table.clearSelection()
    page.zoom.click()
    far = iface.canvas.extent()
    assert far.contains(in_utm31(4.84, 45.75)) and far.contains(in_utm31(5.4, 45.2))
    page.table.select([FLAT.path])
    assert not page.zoom.isEnabled(), "nobody knows where it was taken"


def in_utm31(lon, lat):
    degrees, metres = QgsCoordinateReferenceSystem("EPSG:4326"), QgsCoordinateReferenceSystem("EPSG:32631")
    return QgsCoordinateTransform(degrees, metres, QgsProject.instance()).transform(QgsPointXY(lon, lat))
