"""Inside QGIS: what an analyst does in the Locate tab, click by click. Generators are steps for ``inside.play``."""

from __future__ import annotations

import time
from pathlib import Path

from inside import cut_off, engine_children, narrow
from qgis.core import QgsCoordinateReferenceSystem, QgsCoordinateTransform, QgsDistanceArea, QgsPointXY, QgsProject
from qgis.PyQt.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from qgis.PyQt.QtGui import QDragEnterEvent, QDropEvent
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QApplication, QFileDialog
from qgis.utils import iface

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
CIRCLE, DRAWN, LAYER = 1, 2, 3
WIDE, NARROW = 390, 330


def click(widget, place: QPoint | None = None) -> None:
    """A left click in the middle of a widget, or at a place in it."""
    QTest.mouseClick(widget, LEFT, NONE, place if place is not None else widget.rect().center())


def key(widget, pressed) -> None:
    """A key of the keyboard."""
    QTest.keyClick(widget, pressed)


def choose_folder(path: str | Path) -> None:
    """What the next file dialog answers: a folder."""
    QFileDialog.getExistingDirectory = staticmethod(lambda *_args, **_options: str(path))


def drop(widget, paths: list[str]) -> None:
    """Drop files on a widget."""
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(path) for path in paths])
    middle, copy = widget.rect().center(), Qt.DropAction.CopyAction
    enter = QDragEnterEvent(middle, copy, data, LEFT, NONE)
    QApplication.sendEvent(widget, enter)
    if enter.isAccepted():
        QApplication.sendEvent(widget, QDropEvent(QPointF(middle), copy, data, LEFT, NONE))


def on_canvas(lon: float, lat: float) -> QPoint:
    """The pixel of the map where a place in degrees is drawn."""
    canvas = iface.mapCanvas()
    degrees, project = QgsCoordinateReferenceSystem("EPSG:4326"), QgsProject.instance()
    move = QgsCoordinateTransform(degrees, canvas.mapSettings().destinationCrs(), project)
    pixel = canvas.getCoordinateTransform().transform(move.transform(QgsPointXY(lon, lat)))
    return QPoint(round(pixel.x()), round(pixel.y()))


def metres(candidate, truth) -> float:
    """How far a candidate is from the truth (longitude, latitude, …)."""
    measure = QgsDistanceArea()
    measure.setEllipsoid("WGS84")
    return measure.measureLine(QgsPointXY(candidate.lon, candidate.lat), QgsPointXY(truth[0], truth[1]))


class Locating:
    """The tab, and what is measured while it works: :attr:`blocked` has (what, worst gap, most computed, gaps)."""

    def __init__(self, w) -> None:
        self.w = w
        self.dock = w.dock()
        self.registry = w.plugin.registry
        self.tab = self.dock.show_tab("locate")
        self.blocked = w.result.setdefault("blocked", [])

    def page(self, name: str):
        """Turn to a page by its button."""
        tab = self.tab
        click(tab._switch.button(tab.names.index(name)))
        yield self.w.until(lambda: tab.current == name, 5, f"the page {name}")
        yield 0.1

    def looked_at(self, name: str):
        """A picture of the page beside its map, then narrow: what of it cannot be read."""
        yield from self.still()
        self.w.picture(f"qgis-locate-{name}", small=True)
        narrow(self.dock, NARROW)
        yield 0.2
        self.w.result.setdefault("cut_off", {})[name] = cut_off(self.tab)
        self.w.picture(f"narrow-{name}", self.dock)
        narrow(self.dock, WIDE)
        yield 0.1

    def still(self):
        """Until the map is drawn: seen twice, for on a busy machine a change is drawn a while later."""
        for _ in range(2):
            yield 0.3
            yield self.w.until(lambda: not iface.mapCanvas().isDrawing(), 30, "the map")

    def read(self, what: str, begin):
        """Photos are added by ``begin`` and read."""
        page = self.tab.photos
        beats = self.w.heartbeat()
        begin()
        yield self.w.until(lambda: page.reading, 5, f"{what}: reading")
        yield self.w.until(lambda: not page.reading, 60, f"{what}: read")
        yield 0.2
        self.measured(what, beats)

    def circle(self, lon: float, lat: float, radius_m: float):
        """The region: a circle about a place that is clicked on the map."""
        region = self.tab.region.form.region
        region.kind.setCurrentIndex(CIRCLE)
        region.circle.radius.setValue(radius_m)
        if not region.circle.pick.isChecked():
            click(region.circle.pick)
        yield 0.1
        click(iface.mapCanvas().viewport(), on_canvas(lon, lat))
        yield self.w.until(lambda: not region.circle.pick.isChecked(), 5, "the place was taken")

    def estimated(self):
        """Until the estimate of the index stands; its text."""
        estimate = self.tab.region.form.estimate
        yield 1.0
        yield self.w.until(lambda: not estimate._timer.isActive() and not estimate._running, 60, "the estimate")
        yield 0.1

    def run(self, page, out: Path, what: str):
        """Press a page's button and wait for the end of its run; state and message of the run."""
        page.form.out.setFilePath(str(out))
        yield 0.2
        beats = self.w.heartbeat()
        began = time.monotonic()
        click(page.run_button)
        yield from self.begun(out)
        yield self.w.until(lambda: not page.running, 400, f"{what}: the end of the run")
        yield 0.5
        yield from self.still()
        self.measured(what, beats)
        record = self.registry.newest_of(str(out))
        self.w.result.setdefault("runs", {})[what] = [record.state, record.error, round(time.monotonic() - began, 1)]

    def begun(self, out: Path):
        """Until the run that writes to a folder is on the list."""
        yield self.w.until(lambda: self.registry.newest_of(str(out)) is not None, 30, "the run in the list")

    def so_far(self, out: Path) -> float:
        """How far the run that writes to a folder is; 1 where it is over."""
        record = self.registry.newest_of(str(out))
        return 1.0 if record.is_finished else record.fraction

    def cancel(self, page, out: Path, what: str, fraction: float):
        """Begin, cancel by the button of the strip once it is so far, and see what is left."""
        page.form.out.setFilePath(str(out))
        yield 0.2
        click(page.run_button)
        yield from self.begun(out)
        yield self.w.until(lambda: self.so_far(out) > fraction, 120, f"{what}: progress")
        began = time.monotonic()
        click(page.strip.cancel)
        yield self.w.until(lambda: self.registry.newest_of(str(out)).is_finished, 10, f"{what}: its end")
        seconds = round(time.monotonic() - began, 2)
        yield self.w.until(lambda: not page.running, 10, f"{what}: the page is free")
        yield 0.3
        yield self.w.until(lambda: not self.tab.library.looking, 10, "the list of indexes")
        self.w.result.setdefault("cancelled", {})[what] = {
            "state": self.registry.newest_of(str(out)).state,
            "seconds": seconds,
            "seen": out.exists(),
            "children": engine_children(),
            "message": page.message.text(),
            "listed": [[facts.name, facts.state] for facts in self.tab.library.indexes()],
            "offered": [facts.name for facts in self.tab.library.usable()],
        }

    def found(self) -> dict[str, list]:
        """photo → match, and the first three candidates: longitude, latitude, heading, probability."""
        return {
            answer.photo: [
                answer.match,
                [[c.lon, c.lat, c.heading_deg, c.probability] for c in answer.candidates[:3]],
            ]
            for answer in self.tab.answer.answers.answers
        }

    def answered(self, out: Path):
        """Until the answer page shows the search that wrote to a folder."""
        page = self.tab.answer
        shown = self.w.until(lambda: page.folder == str(out) and page.answers is not None, 20, "the answer")
        yield shown
        yield 0.3

    def measured(self, what: str, beats) -> None:
        """Keep how long the window was blocked at most."""
        worst = beats.stop()
        longest = sorted(beats.gaps, key=lambda gap: -max(gap[0], gap[2]))[:8]
        self.blocked.append([what, round(worst, 1), round(beats.busiest_ms, 1), longest])
