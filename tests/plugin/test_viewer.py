"""The viewer as it is used: what it shows where, by mouse, wheel and keys; and that it never holds the window up."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from gui_support import spin
from photo_files import color_at, flat, panorama, quarters, save
from qgis.PyQt.QtCore import QEvent, QPoint, QPointF, Qt, QTimer
from qgis.PyQt.QtGui import QImage, QKeyEvent, QMouseEvent, QWheelEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication

from plugin.gui.locate.viewer import PanoramaViewer
from plugin.photos.facts import photo_of

pytestmark = pytest.mark.usefixtures("faults_in_slots")
LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def city(tmp_path_factory) -> str:
    """A panorama whose middle looks north."""
    return save(quarters(1024), tmp_path_factory.mktemp("viewer") / "quarters.png")


@pytest.fixture
def viewer(qgis_app):
    with opened() as viewer:
        yield viewer


@contextmanager
def opened():
    viewer = PanoramaViewer()
    viewer.resize(400, 300)
    viewer.show()
    yield viewer
    viewer.shut_down()
    viewer.close()


def settle(viewer) -> None:
    """Until what is shown is drawn sharp."""
    QApplication.processEvents()
    spin(lambda: viewer._frame is not None and not viewer._rest.isActive() and not viewer._painter.busy)
    QApplication.processEvents()


def pull(widget, start: tuple[int, int], end: tuple[int, int]) -> None:
    QTest.mousePress(widget, LEFT, Qt.KeyboardModifier.NoModifier, QPoint(*start))
    for share in (0.25, 0.5, 0.75, 1.0):
        move(widget, QPoint(*(round(a + (b - a) * share) for a, b in zip(start, end, strict=True))))
    QTest.mouseRelease(widget, LEFT, Qt.KeyboardModifier.NoModifier, QPoint(*end))


def move(widget, place: QPoint) -> None:
    at = QPointF(place)
    event = QMouseEvent(QEvent.Type.MouseMove, at, QPointF(widget.mapToGlobal(place)), Qt.MouseButton.NoButton, LEFT,
                        Qt.KeyboardModifier.NoModifier)  # fmt: skip
    QApplication.sendEvent(widget, event)


def wheel(widget, place: QPointF, steps: int) -> None:
    there = QPointF(widget.mapToGlobal(place.toPoint()))
    buttons, keys, phase = Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase
    event = QWheelEvent(place, there, QPoint(), QPoint(0, 120 * steps), buttons, keys, phase, False)
    QApplication.sendEvent(widget, event)


def press(widget, key: Qt.Key, held=Qt.KeyboardModifier.NoModifier) -> None:
    QApplication.sendEvent(widget, QKeyEvent(QEvent.Type.KeyPress, key, held))


@pytest.mark.parametrize("heading", [0.0, 90.0, 200.0])
def test_it_looks_where_it_says(viewer, tmp_path, heading):
    path = save(quarters(512, heading), tmp_path / "p.png")
    looks = []
    viewer.looked.connect(lambda *look: looks.append(look))
    viewer.show_photo(panorama(path, 512, heading_deg=heading))
    assert looks[-1] == (heading, 0, 90)
    for azimuth, name in ((0, "N"), (90, "E"), (180, "S"), (-90, "W")):
        viewer.look_at(azimuth, 5)
        settle(viewer)
        assert color_at(viewer, 0.5, 0.5) == name
        assert looks[-1] == pytest.approx((azimuth % 360, 5, 90))


def test_a_photo_without_a_heading_counts_from_its_middle(viewer, city):
    viewer.show_photo(panorama(city, 1024))
    assert viewer.heading_deg is None and viewer.azimuth_deg == 0
    viewer.look_at(-90)
    settle(viewer)
    assert viewer.azimuth_deg == -90 and color_at(viewer, 0.5, 0.5) == "W"
    assert "heading not known" in viewer.accessibleDescription()


def test_a_heading_that_is_set_turns_the_compass_not_the_view(viewer, city):
    looks = []
    viewer.looked.connect(lambda *look: looks.append(look))
    viewer.show_photo(panorama(city, 1024))
    viewer.look_at(90)
    settle(viewer)
    viewer.set_heading(120)
    settle(viewer)
    assert color_at(viewer, 0.5, 0.5) == "E" and looks[-1][0] == 210 and viewer.supposed
    assert "supposed heading 120°" in viewer.accessibleDescription()
    viewer.set_heading(None)
    assert viewer.heading_deg is None and looks[-1][0] == 90 and not viewer.supposed


def test_the_same_photo_with_another_heading_stays_in_view(viewer, city):
    viewer.show_photo(panorama(city, 1024), 10.0)
    viewer.look_at(100, -20)
    viewer.show_photo(panorama(city, 1024), 50.0)
    assert viewer.azimuth_deg == 140 and viewer.sight.pitch == -20
    assert viewer._frame is None or viewer.sight.turn == 90


def test_what_is_pulled_follows_the_pointer(viewer, city):
    viewer.show_photo(panorama(city, 1024, heading_deg=0.0))
    viewer.look_at(0)
    settle(viewer)
    edge = 200 + 200 * math.tan(math.radians(45)) - 1  # the border of red and green stands at 45° E: the right edge
    assert color_at(viewer, (edge - 12) / 400, 0.5) == "N"
    pull(viewer, (300, 120), (200, 120))
    settle(viewer)
    assert viewer.azimuth_deg == pytest.approx(math.degrees(100 / 200), abs=0.5)
    assert color_at(viewer, 0.9, 0.5) == "E"
    pull(viewer, (200, 100), (200, 200))
    assert viewer.sight.pitch == pytest.approx(math.degrees(100 / 200), abs=0.5)


def test_the_wheel_comes_closer_to_what_is_under_the_pointer(viewer, city):
    viewer.show_photo(panorama(city, 1024, heading_deg=0.0))
    wheel(viewer, QPointF(200, 150), 3)
    assert viewer.azimuth_deg == 0 and viewer.sight.fov == pytest.approx(2 * math.degrees(math.atan(1 / 1.2**3)))
    wheel(viewer, QPointF(360, 150), 2)
    assert 0 < viewer.azimuth_deg < 45
    wheel(viewer, QPointF(200, 150), -60)
    assert viewer.sight.fov == 120, "no wider than a lens shows without smearing"


def test_keys_turn_zoom_and_go_home(viewer, city):
    viewer.show_photo(panorama(city, 1024, heading_deg=0.0))
    press(viewer, Qt.Key.Key_Right)
    assert viewer.azimuth_deg == pytest.approx(90 / 8)
    press(viewer, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert viewer.azimuth_deg == pytest.approx(90 / 8 - 90 / 24)
    press(viewer, Qt.Key.Key_Down)
    assert viewer.sight.pitch == pytest.approx(-90 / 8)
    press(viewer, Qt.Key.Key_Plus)
    assert viewer.sight.fov < 90
    press(viewer, Qt.Key.Key_Home)
    assert (viewer.azimuth_deg, viewer.sight.pitch, viewer.sight.fov) == (0, 0, 90)


def test_a_click_on_the_compass_turns_there(viewer, city):
    viewer.show_photo(panorama(city, 1024, heading_deg=0.0))
    QTest.mouseClick(viewer, LEFT, Qt.KeyboardModifier.NoModifier, QPoint(300, 295))
    assert viewer.azimuth_deg == pytest.approx(math.degrees(math.atan(0.5)), abs=0.2)


def test_a_flat_photo_is_shown_whole_and_not_left(viewer, tmp_path):
    pixels = np.full((120, 160, 3), 200, np.uint8)
    pixels[:, :80] = (220, 40, 40)
    pixels[:, 80:] = (40, 60, 220)
    path = save(pixels, tmp_path / "f.png")
    viewer.show_photo(flat(path, 160, 120, 70.0, heading_deg=30.0))
    settle(viewer)
    assert viewer.sight.fov == pytest.approx(70, abs=0.1) and viewer.azimuth_deg == 30
    assert color_at(viewer, 0.3, 0.6) == "N" and color_at(viewer, 0.7, 0.6) == "S"
    viewer.look_at(200)
    assert viewer.azimuth_deg in (pytest.approx(65), pytest.approx(355))
    assert "photo of one lens, 70° wide" in viewer.accessibleDescription()


def test_a_fault_is_said_and_the_next_photo_is_shown(viewer, city, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no image")
    viewer.show_photo(panorama(str(tmp_path / "bad.jpg"), 100))
    spin(lambda: viewer._fault)
    assert "bad.jpg" in viewer._notice()
    viewer.show_photo(photo_of({"path": "x.jpg", "fault": "x.jpg: cut off"}))
    assert viewer._notice() == "x.jpg: cut off"
    viewer.look_at(20)  # nothing to look at, and nothing goes wrong
    press(viewer, Qt.Key.Key_Home)
    viewer.show_photo(panorama(city, 1024))
    settle(viewer)
    assert color_at(viewer, 0.5, 0.5) == "N"
    viewer.show_photo(None)
    assert viewer._notice() == "No photo is chosen."


def test_a_photo_that_comes_late_does_not_take_the_place_of_another(viewer, city, tmp_path):
    other = save(quarters(2048, 180.0), tmp_path / "other.jpg")  # its middle is blue
    viewer.show_photo(panorama(other, 2048))
    viewer.show_photo(panorama(city, 1024))
    settle(viewer)
    spin(lambda: viewer._loader.picture(other) is not None)
    settle(viewer)
    assert color_at(viewer, 0.5, 0.5) == "N"


class Beats:
    """The longest time that the window's thread was held up, in ms: less what the kernel gave to other processes."""

    def __init__(self):
        self._file = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self.worst, self.count = 0.0, 0
        self._last, self._queued = time.monotonic(), self._waited()
        self._timer.start(5)

    def _waited(self) -> float:
        try:
            return int(self._file.read_text().split()[1]) / 1e9
        except OSError:
            return 0.0

    def _beat(self):
        now, queued = time.monotonic(), self._waited()
        self.worst = max(self.worst, 1000 * (now - self._last - (queued - self._queued)))
        self._last, self._queued, self.count = now, queued, self.count + 1

    def stop(self) -> float:
        self._timer.stop()
        return self.worst


@pytest.fixture(scope="module")
def huge(tmp_path_factory) -> str:
    """11,000 × 5,500 with the detail of a real photo: noise over the quarters."""
    pixels = np.minimum(quarters(2750), 215)
    pixels += np.random.default_rng(5).integers(0, 40, (*pixels.shape[:2], 1), dtype=np.uint8)
    folder = tmp_path_factory.mktemp("huge")
    image = QImage(save(pixels, folder / "small.png")).scaled(11000, 5500)
    assert image.save(str(folder / "huge.jpg"), None, 85)
    return str(folder / "huge.jpg")


def held_up(huge: str) -> float:
    """The longest time, in ms, while a photo is read, turned and enlarged."""
    with opened() as viewer:
        viewer.resize(1200, 700)
        QApplication.processEvents()
        beats = Beats()
        viewer.show_photo(panorama(huge, 11000, heading_deg=0.0))
        spin(lambda: viewer._frame is not None)
        for step in range(30):  # turned while it is being read at other sizes
            move_from = (600 + step, 300)
            pull(viewer, move_from, (move_from[0] - 40, 300 + step % 7))
            spin(lambda: False, 0.01)
        for _ in range(10):
            wheel(viewer, QPointF(700, 300), 1)
            spin(lambda: False, 0.02)
        settle(viewer)
        spin(lambda: viewer._loader.picture(huge).whole, 20)
        settle(viewer)
        worst = beats.stop()
        picture = viewer._loader.picture(huge).pixels
        assert picture.shape == (5500, 11000, 4), "zoomed in it is read as large as it is"
        assert beats.count > 50
    return worst


def test_a_panorama_of_sixty_million_pixels_never_holds_the_window_up(qgis_app, huge):
    # A thread that reads may keep Python's lock while the kernel stops it: what is our own fault comes every time.
    worst = held_up(huge)
    for _ in range(2):
        worst = worst if worst < 100 else min(worst, held_up(huge))
    assert worst < 100, f"held up for {worst:.0f} ms"
