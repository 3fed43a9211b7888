"""Inside QGIS: photos of a simulated town are added, its imagery indexed, the photos found, reviewed and exported."""

import json
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import cut_off, engine_children, narrow, play
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtTest import QTest
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

LEFT = Qt.MouseButton.LeftButton
WIDE, NARROW = 390, 330


def click(widget):
    QTest.mouseClick(widget, LEFT)


def steps(w):
    project, canvas = QgsProject.instance(), iface.mapCanvas()
    for panel in iface.mainWindow().findChildren(QDockWidget):
        if panel.objectName() == "Browser":
            panel.hide()
    layer = QgsRasterLayer(w.arguments["overhead"], "Orthophoto 2024")
    project.addMapLayer(layer)
    project.setCrs(layer.crs())
    canvas.setExtent(layer.extent())
    dock = w.dock()
    narrow(dock, WIDE)
    tab = dock.show_tab("locate")
    yield w.until(lambda: dock.banner.engine_ready, 60, "the engine")
    w.result["pages"], w.result["cut_off"] = list(tab.names), {}
    beats = Beats(w)
    yield from photos(w, dock, tab, beats)
    beats.took("photos")
    yield from region(w, dock, tab, beats)
    yield from search(w, dock, tab, beats)
    beats.took("search")
    yield from answer(w, dock, tab, beats)
    beats.took("answer")
    yield from review(w, dock, tab, beats)
    beats.took("review")
    w.result["blocked"] = beats.told


class Beats:
    """How long the window was blocked, part by part; the time that a screenshot takes is not counted."""

    def __init__(self, w):
        self._w, self._beat, self.told = w, w.heartbeat(), {}
        self._held = [0.0, 0.0, []]

    def _hold(self):
        worst, busiest, gaps = self._held
        beat = self._beat
        self._held = [max(worst, beat.worst_ms), max(busiest, beat.busiest_ms), gaps + beat.gaps]

    def picture(self, *given, **options):
        self._hold()
        self._w.picture(*given, **options)
        self._beat.reset()

    def took(self, part):
        self._hold()
        self.told[part], self._held = self._held, [0.0, 0.0, []]
        self._beat.reset()


def looked_at(w, dock, tab, name, beats):
    """The page wide and narrow, and what of it cannot be read."""
    beats.picture(f"qgis-locate-{name}", small=True)
    narrow(dock, NARROW)
    yield 0.3
    w.result["cut_off"][name] = cut_off(tab)
    beats.picture(f"narrow-locate-{name}", dock)
    narrow(dock, WIDE)
    yield 0.2


def photos(w, dock, tab, beats):
    tab.turn_to("photos")
    tab.photos.add(w.arguments["photos"])
    count = len(w.arguments["photos"])
    yield w.until(lambda: len(tab.photo_set.photos()) == count, 60, "the photos were read")
    yield 0.3
    w.result["faults"] = [photo.fault for photo in tab.photo_set.photos()]
    yield from looked_at(w, dock, tab, "photos", beats)


def region(w, dock, tab, beats):
    page, out = tab.turn_to("region"), Path(w.arguments["out"]) / "town"
    form = page.form
    yield w.until(lambda: "cells" in form.estimate.text.text(), 60, "the estimate")
    w.result["estimate"] = form.estimate.text.text()
    w.result["reference"] = form.reference.layer.combo.currentText()
    w.result["suggested"] = form.out.folder()
    form.out.setFilePath("/data/town/town_index")  # what the guide's picture shows
    yield 0.3
    yield from looked_at(w, dock, tab, "region", beats)
    form.out.setFilePath(str(out))
    ended = []
    page.ended.connect(lambda run, ok, outputs: ended.append(ok))
    click(page.run_button)
    yield w.until(lambda: engine_children() and page.strip.bar.value() > 50, 120, "progress of the index")
    stopped = time.monotonic()
    click(page.strip.cancel)
    yield w.until(lambda: bool(ended), 20, "the index was stopped")
    w.result["cancel_s"] = time.monotonic() - stopped
    yield w.until(lambda: not tab.library.looking, 10, "the library")
    yield 0.3
    w.result["stopped"] = {
        "ended": list(ended),
        "visible": out.exists(),
        "engines": engine_children(),
        "said": page.message.text(),
        "listed": [[facts.name, facts.state] for facts in tab.library.indexes()],
        "out": form.out.folder(),
    }
    beats.picture("locate-stopped", dock)
    beats.took("cancel")
    click(page.run_button)
    yield w.until(lambda: len(ended) == 2, 240, "the index")
    beats.took("index")
    yield w.until(lambda: tab.search.form.index.folder() == str(out), 10, "the index is chosen on the next page")
    w.result["index"] = [ended[1], page.message.text(), tab.current]
    w.result["library"] = [[facts.name, facts.state, facts.cells] for facts in tab.library.indexes()]


def search(w, dock, tab, beats):
    page = tab.turn_to("search")
    page.form.out.setFilePath("/data/town/photos_located")
    yield 0.3
    yield from looked_at(w, dock, tab, "search", beats)
    page.form.out.setFilePath(str(Path(w.arguments["out"]) / "found"))
    ended = []
    page.ended.connect(lambda run, ok, outputs: ended.append(ok))
    click(page.run_button)
    yield w.until(lambda: bool(ended), 360, "the search")
    w.result["search"] = [ended[0], page.message.text()]
    yield w.until(lambda: tab.answer.answers is not None, 20, "the answers")
    yield w.until(lambda: tab.answer.layers.layer() is not None, 20, "the layer of candidates")


def answer(w, dock, tab, beats):
    page, canvas = tab.answer, iface.mapCanvas()
    yield w.until(lambda: not canvas.isDrawing(), 30, "the map")
    w.result["found"] = {
        one.photo: [[c.lon, c.lat, c.heading_deg, c.probability] for c in one.candidates]
        for one in page.answers.answers
    }
    w.result["matches"] = {one.photo: one.match for one in page.answers.answers}
    first = max(page.answers.answers, key=lambda one: one.best.probability)
    page.list.choose(first.photo)
    layer = page.layers.layer()
    item = page.table.topLevelItem(0)
    place = page.table.visualItemRect(item).center()
    QTest.mouseClick(page.table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
    w.result["selected"] = [layer.selectedFeatureIds(), first.best.fid]
    QTest.mouseDClick(page.table.viewport(), LEFT, Qt.KeyboardModifier.NoModifier, place)
    yield 1.0
    yield w.until(lambda: not canvas.isDrawing(), 30, "the map")
    w.result["scale"] = canvas.scale()
    layer.selectByIds([first.candidates[1].fid])
    w.result["selected_on_map"] = page.table.rank
    layer.selectByIds([first.best.fid])
    iface.messageBar().clearWidgets()
    yield 0.5
    yield from looked_at(w, dock, tab, "answer", beats)
    click(page.photo)
    yield 1.5
    yield w.until(lambda: not canvas.isDrawing(), 30, "the map")
    beats.picture("locate-photo")
    w.result["viewer"] = [dock.workspace.viewer.viewer.heading_deg, first.best.heading_deg]
    dock.workspace.viewer.close()


def review(w, dock, tab, beats):
    page = tab.answer
    click(page.review)
    panel, window = tab.review.panel, tab.review
    iface.mainWindow().resizeDocks([window], [430], Qt.Orientation.Vertical)
    yield w.until(lambda: panel.walk is not None, 20, "the review")
    yield 4.0
    beats.picture("qgis-locate-review", small=True)
    w.result["reviewed"] = [panel.walk.answer.photo, panel.walk.candidate.rank]
    QTest.keyClick(panel, Qt.Key.Key_A)
    yield w.until(
        lambda: any("located" in layer.source() for layer in w.layers().values()), 20, "the layer of accepted places"
    )
    yield 0.5
    w.result["marks"] = [page.list.topLevelItem(row).text(2) for row in range(page.list.topLevelItemCount())]
    w.result["located"] = [layer.source() for layer in w.layers().values() if "located" in layer.source()]
    beats.picture("locate-accepted")


play(steps)
