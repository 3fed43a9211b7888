"""The viewer and the map: the cone both ways, true north in any CRS, the photo from above at the map's scale."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gui_support import spin
from photo_files import color_at, flat, panorama, quarters, save
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsDistanceArea,
    QgsPointXY,
    QgsProject,
    QgsRectangle,
    QgsSettings,
)
from qgis.gui import QgsMapToolPan
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt
from qgis.PyQt.QtGui import QMouseEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QDockWidget

from plugin.gui.engine_setup import EngineSetup
from plugin.gui.locate.above_view import FARTHEST_M, NEAREST_M, AboveView, round_length
from plugin.gui.locate.map_place import MapPlace
from plugin.gui.locate.view_cone import RADIUS, ViewCone
from plugin.gui.locate.viewer_dock import ViewerDock
from plugin.photos.picture import PictureLoader

pytestmark = pytest.mark.usefixtures("faults_in_slots", "fresh_settings")
DEGREES = QgsCoordinateReferenceSystem("EPSG:4326")
LYON = QgsPointXY(4.84372, 45.7482)
NO_KEY, LEFT = Qt.KeyboardModifier.NoModifier, Qt.MouseButton.LeftButton


def show(canvas, crs: str, place: QgsPointXY, half: float, rotation: float = 0.0) -> None:
    """The canvas around a place, ``half`` of the CRS's units to each side."""
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem(crs))
    transform = QgsCoordinateTransform(DEGREES, canvas.mapSettings().destinationCrs(), QgsProject.instance())
    middle = transform.transform(place)
    canvas.setRotation(rotation)
    canvas.setExtent(QgsRectangle(middle.x() - half, middle.y() - half, middle.x() + half, middle.y() + half))
    QApplication.processEvents()


def move(widget, place: QPoint) -> None:
    event = QMouseEvent(QEvent.Type.MouseMove, QPointF(place), QPointF(widget.mapToGlobal(place)),
                        Qt.MouseButton.NoButton, LEFT, NO_KEY)  # fmt: skip
    QApplication.sendEvent(widget, event)


@pytest.fixture
def canvas(iface):
    iface.window.setCentralWidget(iface.canvas)
    iface.window.resize(900, 700)
    iface.window.show()
    yield iface.canvas
    iface.window.close()


@pytest.fixture
def cone(canvas):
    cone = ViewCone(canvas)
    yield cone
    cone.remove()


@pytest.fixture(scope="module")
def city(tmp_path_factory) -> str:
    return save(quarters(1024), tmp_path_factory.mktemp("map") / "quarters.png")


@pytest.fixture
def dock(iface, canvas):
    show(canvas, "EPSG:2154", LYON, 60)
    dock = ViewerDock(iface)
    iface.window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, dock)
    dock.show()
    QApplication.processEvents()
    yield dock
    dock.shut_down()
    iface.window.removeDockWidget(dock)
    dock.deleteLater()


def settle(dock) -> None:
    QApplication.processEvents()
    spin(
        lambda: (
            not (
                dock.viewer._frame is None
                or dock.viewer._rest.isActive()
                or dock.viewer._painter.busy
                or dock.above._soon.isActive()
                or dock.above._painter.busy
                or dock._soon.isActive()
            )
        )
    )
    QApplication.processEvents()


MAPS = [("EPSG:2154", 60, 0), ("EPSG:3857", 60, 33), ("EPSG:4326", 0.001, 0), ("EPSG:3035", 60, -120),
        ("EPSG:3995", 500, 10)]  # fmt: skip


@pytest.mark.parametrize(("crs", "half", "rotation"), MAPS)
@pytest.mark.parametrize("azimuth", [0, 77, 201.5])
def test_directions_on_the_map_are_those_of_the_ground(canvas, crs, half, rotation, azimuth):
    show(canvas, crs, LYON, half, rotation)
    place = MapPlace(canvas, LYON, DEGREES)
    area = QgsDistanceArea()
    area.setEllipsoid("EPSG:7030")
    target = area.computeSpheroidProject(LYON, 30, math.radians(azimuth))  # 30 m that way, by another's geodesic
    pixel = MapPlace(canvas, target, DEGREES).pixel()
    right, down = place.direction(azimuth)
    off = pixel - place.pixel()
    length = math.hypot(off.x(), off.y())
    assert (off.x() / length, off.y() / length) == pytest.approx((right, down), abs=2e-4)
    assert (place.azimuth(pixel) - azimuth + 180) % 360 - 180 == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(("crs", "half", "rotation"), MAPS)
def test_the_scale_is_that_of_the_ground(canvas, crs, half, rotation):
    show(canvas, crs, LYON, half, rotation)
    place = MapPlace(canvas, LYON, DEGREES)
    area = QgsDistanceArea()
    area.setEllipsoid("EPSG:7030")
    ground = 1.0
    for azimuth in (0, 90):  # where the map stretches one way, the mean of both
        pixel = MapPlace(canvas, area.computeSpheroidProject(LYON, 40, math.radians(azimuth)), DEGREES).pixel()
        off = pixel - place.pixel()
        ground *= 40 / math.hypot(off.x(), off.y())
    assert place.metres_per_pixel() == pytest.approx(math.sqrt(ground), rel=2e-3)


def test_a_place_without_a_crs_is_refused(canvas):
    with pytest.raises(QgsCsException):
        MapPlace(canvas, LYON, QgsCoordinateReferenceSystem())
    with pytest.raises(QgsCsException):
        MapPlace(canvas, QgsPointXY(float("inf"), 1), DEGREES)


def test_on_a_map_without_a_crs_there_is_no_cone_and_no_scale(dock, canvas, city):
    canvas.setDestinationCrs(QgsCoordinateReferenceSystem())
    dock.show_photo(panorama(city, 1024, heading_deg=0.0, lon=LYON.x(), lat=LYON.y()))
    settle(dock)
    assert not dock.cone._item.isVisible() and not dock.above.at_map_scale


def test_the_cone_is_turned_at_its_dot_and_its_rim_and_its_foot_stays_the_maps(canvas, cone):
    show(canvas, "EPSG:3857", LYON, 60)
    turned = []
    tool = QgsMapToolPan(canvas)
    canvas.setMapTool(tool)
    cone.turned.connect(turned.append)
    cone.show(LYON, DEGREES, 0, 60)
    viewport = canvas.viewport()
    before = viewport.cursor().shape()
    at = MapPlace(canvas, LYON, DEGREES).pixel()
    up = QPoint(round(at.x()), round(at.y() - RADIUS))
    QTest.mousePress(viewport, LEFT, NO_KEY, up)
    move(viewport, QPoint(round(at.x() + 50), round(at.y() - 50)))
    move(viewport, QPoint(round(at.x() + 90), round(at.y())))
    QTest.mouseRelease(viewport, LEFT, NO_KEY, QPoint(round(at.x() + 90), round(at.y())))
    assert turned == [pytest.approx(45, abs=1.5), pytest.approx(90, abs=1.5)]
    assert cone.azimuth_deg == turned[-1]
    assert viewport.cursor().shape() == before, "the tool's own pointer again"
    canvas.unsetMapTool(tool)
    rim = math.radians(90 - 25)
    edge = QPoint(round(at.x() + RADIUS * math.sin(rim)), round(at.y() - RADIUS * math.cos(rim)))
    assert cone._item.holds(QPointF(edge))
    assert not cone._item.holds(at) and not cone._item.holds(at + QPointF(30, 0))
    assert not cone._item.holds(at + QPointF(0, -RADIUS)), "where the cone is not"


def test_a_press_beside_the_cone_goes_to_the_map_tool(canvas, cone):
    show(canvas, "EPSG:3857", LYON, 60)
    tool = QgsMapToolPan(canvas)
    canvas.setMapTool(tool)
    cone.show(LYON, DEGREES, 0, 60)
    before = canvas.extent().center()
    at = MapPlace(canvas, LYON, DEGREES).pixel()
    start, end = at.toPoint() + QPoint(100, 100), at.toPoint() + QPoint(40, 100)
    QTest.mousePress(canvas.viewport(), LEFT, NO_KEY, start)
    move(canvas.viewport(), end)
    QTest.mouseRelease(canvas.viewport(), LEFT, NO_KEY, end)
    assert canvas.extent().center().x() > before.x(), "the map was panned"
    assert (cone._item.pos() - MapPlace(canvas, LYON, DEGREES).pixel()).manhattanLength() < 2, "the cone went along"
    canvas.unsetMapTool(tool)


def test_the_cone_follows_the_map_and_goes(canvas):
    show(canvas, "EPSG:3857", LYON, 60)
    items = len(canvas.scene().items())
    cone = ViewCone(canvas)
    cone.show(LYON, DEGREES, 10, 90)
    for crs, half in (("EPSG:2154", 200), ("EPSG:4326", 0.004)):
        show(canvas, crs, LYON, half)
        assert (cone._item.pos() - MapPlace(canvas, LYON, DEGREES).pixel()).manhattanLength() < 2
    cone.show(QgsPointXY(1e9, 1e9), QgsCoordinateReferenceSystem("EPSG:32631"), 10, 90)
    assert not cone.visible, "no such place: no cone, no fault"
    cone.remove()
    assert len(canvas.scene().items()) == items


def test_viewer_cone_and_view_from_above_turn_together(dock, canvas, city):
    dock.show_photo(panorama(city, 1024, heading_deg=30.0, lon=LYON.x(), lat=LYON.y()))
    assert dock.cone.visible and dock.cone.azimuth_deg == 30 and dock.name.text() == "quarters.png"
    dock.viewer.look_at(100)
    assert dock.cone.azimuth_deg == 100 and dock.above._azimuth == 100
    dock.cone.turned.emit(250.0)
    assert dock.viewer.azimuth_deg == 250 and dock.cone.azimuth_deg == 250
    dock.viewer.zoom(2)
    assert dock.cone._item.fov == pytest.approx(dock.viewer.sight.fov)
    settle(dock)
    right = dock.above.rect().center() + QPoint(40, 0)
    QTest.mouseClick(dock.above, LEFT, NO_KEY, right)
    assert dock.viewer.azimuth_deg == pytest.approx(90, abs=2)


def test_a_candidates_place_and_heading_stand_before_the_photos_own(dock, canvas, city):
    photo = panorama(city, 1024, lon=0.0, lat=10.0)
    crs = canvas.mapSettings().destinationCrs()
    dock.show_photo(photo, 77.0, (canvas.center(), crs))
    assert dock.cone.visible and dock.cone.azimuth_deg == 77 and dock.heading.value() == 77
    middle = QPointF(canvas.viewport().width() / 2, canvas.viewport().height() / 2)
    assert (dock.cone._item.pos() - middle).manhattanLength() < 3


def test_without_a_heading_there_is_no_cone_until_one_is_set_by_hand(dock, city):
    photo = panorama(city, 1024, lon=LYON.x(), lat=LYON.y())
    dock.show_photo(photo)
    assert not dock.cone.visible and dock.heading.text() == "not known" and dock.heading_by_hand is None
    settle(dock)
    assert color_at(dock.above, 0.5, 0.3) == "N", "its middle is up"
    dock.heading.setValue(90.0)
    settle(dock)
    assert dock.cone.visible and dock.viewer.azimuth_deg == 90 and dock.heading_by_hand == 90
    assert color_at(dock.above, 0.7, 0.5) == "N", "what is red lies in the east now"
    dock.show_photo(None)
    assert not dock.cone.visible and not dock.heading.isEnabled()
    dock.show_photo(photo)
    assert dock.heading.value() == 90, "what was set by hand is kept"
    dock.heading_reset.click()
    assert dock.heading.text() == "not known" and not dock.cone.visible and not dock.heading_reset.isEnabled()


def test_a_heading_goes_round(dock, city):
    dock.show_photo(panorama(city, 1024, heading_deg=0.0))
    dock.heading.stepBy(-2)
    assert dock.heading.value() == 358 and dock.viewer.heading_deg == 358
    dock.heading.stepBy(3)
    assert dock.viewer.heading_deg == 1
    dock.heading.setValue(-1)
    assert dock.viewer.heading_deg == 0 and dock.heading_by_hand is None, "as it came"
    dock.show_photo(panorama(city, 1024))
    dock.heading.stepBy(1)
    assert dock.viewer.heading_deg == 0


def test_a_photo_whose_position_is_hidden_has_no_place_on_the_map(dock, city):
    dock.show_photo(panorama(city, 1024, heading_deg=0.0, lon=LYON.x(), lat=LYON.y()).without_position())
    assert not dock.cone.visible


def test_the_view_from_above_is_as_large_as_the_map(dock, canvas, city):
    dock.show_photo(panorama(city, 1024, heading_deg=0.0, lon=LYON.x(), lat=LYON.y()))
    show(canvas, "EPSG:2154", LYON, 12)
    settle(dock)
    expected = MapPlace(canvas, LYON, DEGREES).metres_per_pixel()
    assert dock.above.at_map_scale and dock.above.metres_per_pixel == pytest.approx(expected)
    show(canvas, "EPSG:2154", LYON, 2000)
    settle(dock)
    half = min(dock.above.width(), dock.above.height()) / 2
    assert not dock.above.at_map_scale and dock.above.metres_per_pixel == pytest.approx(FARTHEST_M / half)
    show(canvas, "EPSG:2154", LYON, 0.5)
    settle(dock)
    assert dock.above.metres_per_pixel == pytest.approx(NEAREST_M / half)


def test_what_is_switched_off_stays_off(dock, iface, city):
    photo = panorama(city, 1024, heading_deg=0.0, lon=LYON.x(), lat=LYON.y())
    dock.show_photo(photo)
    dock.cone_button.click()
    dock.above_button.click()
    assert not dock.cone.visible and not dock.above.isVisible() and not dock.camera.isVisible()
    dock.viewer.look_at(50)
    assert not dock.cone.visible
    again = ViewerDock(iface)
    assert not again.cone_button.isChecked() and not again.above_button.isChecked()
    again.shut_down()
    QgsSettings().remove("samescene/viewer")


def test_a_closed_window_leaves_no_cone(dock, city):
    dock.show_photo(panorama(city, 1024, heading_deg=0.0, lon=LYON.x(), lat=LYON.y()))
    assert dock.cone.visible
    dock.close()
    assert not dock.cone.visible
    dock.show()
    QApplication.processEvents()
    assert dock.cone.visible


def test_the_cameras_height_moves_the_ground(qgis_app, city):
    loader = PictureLoader()
    above = AboveView(loader)
    above.resize(300, 300)
    above.show()
    above.set_map_scale(0.05)
    above.show_photo(panorama(city, 1024), 0.0)
    spin(lambda: above._image is not None)
    first = above._image
    above.set_camera_height(5.0)
    spin(lambda: above._image is not first)
    assert above._image != first and above._image.size() == first.size()
    above.shut_down()
    loader.shut_down()


def test_a_photo_that_cannot_be_read_is_said_in_both_views(dock, city, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    dock.show_photo(panorama(str(tmp_path / "bad.jpg"), 100))
    spin(lambda: dock.above._fault and dock.viewer._fault)
    assert "bad.jpg" in dock.above._fault and "bad.jpg" in dock.viewer._fault
    dock.show_photo(panorama(city, 1024))
    settle(dock)
    assert dock.above._image is not None and not dock.above._fault


def test_a_flat_photo_shows_the_ground_ahead_of_it(qgis_app, tmp_path):
    path = save(np.full((240, 320, 3), (220, 40, 40), np.uint8), tmp_path / "flat.png")
    loader = PictureLoader()
    above = AboveView(loader)
    above.resize(300, 300)
    above.show()
    above.set_map_scale(0.1)
    above.show_photo(flat(path, 320, 240, 70.0, pitch_deg=-10.0), 90.0)
    spin(lambda: above._image is not None)
    ahead, behind = above._image.pixelColor(240, 150), above._image.pixelColor(60, 150)
    assert ahead.alpha() == 255 and ahead.red() == 220 and behind.alpha() == 0, "it looks east"
    above.shut_down()
    loader.shut_down()


@pytest.mark.parametrize(("most", "length"), [(0.3, 0.2), (1.0, 1.0), (4.9, 2.0), (73, 50), (1234, 1000)])
def test_the_scale_bar_is_round(most, length):
    assert round_length(most) == pytest.approx(length)


def test_the_workspace_shows_photos_and_takes_the_viewer_away(iface, canvas, registry, provider, city):
    from plugin.gui.dock import SameSceneDock

    panel = SameSceneDock(iface, registry, EngineSetup())
    assert panel.workspace.viewer is None
    viewer = panel.workspace.show_photo(panorama(city, 1024, heading_deg=0.0, lon=LYON.x(), lat=LYON.y()))
    assert viewer.isVisible() and panel.workspace.show_photo(None) is viewer
    other = QDockWidget("Another of the plugin's", iface.window)
    other.setObjectName("SameSceneOther")
    panel.workspace.dock_below(other)
    assert iface.window.tabifiedDockWidgets(other) == [viewer], "they do not squeeze each other"
    panel.shut_down()
    assert panel.workspace.viewer is None and viewer.parent() is None
