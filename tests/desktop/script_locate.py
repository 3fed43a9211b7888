"""Inside QGIS: five panoramas of a town found on its imagery, reviewed, accepted, written into copies of the photos;
then map tiles and real imagery as reference, and what can go wrong."""

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, json.loads(Path(os.environ["SAMESCENE_DESKTOP_JOB"]).read_text())["helpers"])

from inside import cut_off, narrow, play
from locate_faults import faults
from locate_window import WIDE, Locating, choose_folder, click, drop, key, metres
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

NEAR_M = 25.0


def steps(w):
    for panel in iface.mainWindow().findChildren(QDockWidget):
        if panel.objectName() == "Browser":
            panel.hide()
    narrow(w.dock(), WIDE)
    layer = QgsRasterLayer(w.arguments["overhead"], "Town, May 2024 (simulated)")
    QgsProject.instance().addMapLayer(layer)
    QgsProject.instance().setCrs(layer.crs())
    iface.mapCanvas().setExtent(layer.extent())
    at = Locating(w)
    out = Path(w.arguments["out"])
    yield from at.still()
    yield from photos(w, at)
    yield from region(w, at, out, layer)
    yield from search(w, at, out)
    yield from review(w, at, out)
    yield from learn_and_test(w, at, out)
    yield from tiles(w, at, out)
    if w.arguments.get("real"):
        yield from real(w, at, out)
    yield from faults(w, at, out)
    w.result["cut_off"] = {name: found for name, found in w.result["cut_off"].items() if found}


def photos(w, at):
    """A folder by its button, then a room and a broken photo by drag and drop."""
    page = at.tab.photos
    choose_folder(w.arguments["photos"])
    yield from at.read("adding a folder", lambda: click(page.add_folder))
    yield from at.read("dropping photos", lambda: drop(page, [w.arguments["room"], w.arguments["broken"]]))
    w.result["photos"] = {photo.name: [photo.kind, photo.fault] for photo in at.tab.photo_set.photos()}
    w.result["broken_said"] = page.message.text()
    page.table.selectRow(0)
    yield 0.2
    yield from at.looked_at("photos")


def region(w, at, out, layer):
    """The whole town, by the map; an index that is cancelled, then one that is made."""
    yield from at.page("region")
    page, form = at.tab.region, at.tab.region.form
    form.reference.layer.set_layer(layer)
    form.out.setFilePath("/data/town/index")  # what the guide's picture shows
    form.cell.setValue(10)  # long enough to be cancelled
    form.advanced.setCollapsed(False)
    yield from at.estimated()
    w.result["estimate"] = form.estimate.text.text()
    yield from at.looked_at("region")
    yield from at.cancel(page, out / "index", "index", 0.1)
    w.result["stopped"] = Path(form.out.folder()).name
    yield from at.run(page, out / "index", "index")
    yield w.until(lambda: at.tab.search.form.index.folder() == str(out / "index"), 10, "the index on the next page")
    w.result["indexed"] = [at.tab.current, at.tab.search.form.index.combo.currentText()]
    yield from at.page("region")
    w.result["library"] = [[facts.name, facts.state] for facts in at.tab.library.indexes()]
    w.picture("indexes", at.dock)


def search(w, at, out):
    yield from at.page("search")
    iface.messageBar().clearWidgets()
    page = at.tab.search
    page.form.out.setFilePath("/data/town/found")
    w.result["ticked"] = page.form.photos.count.text()
    yield 0.2
    yield from at.looked_at("search")
    yield from at.cancel(page, out / "cancelled", "search", 0.05)
    yield from at.run(page, out / "found", "search")
    yield from at.answered(out / "found")
    w.result["found"] = at.found()
    yield from at.still()
    answer = at.tab.answer
    w.result["told"] = {"summary": answer.state.text()}
    for name in w.result["found"]:
        answer.list.choose(name)
        yield 0.05
        w.result["told"][name] = answer.told.text()
    best = max(w.arguments["truth"], key=lambda name: w.result["found"][name][1][0][3])
    answer.list.choose(best)
    yield from at.still()
    yield from linked(w, at, best)
    click(answer.heat)
    iface.mapCanvas().setExtent(w.layers()["Town, May 2024 (simulated)"].extent())
    iface.messageBar().clearWidgets()
    yield from at.still()
    yield 0.3
    yield from at.looked_at("answer")
    click(answer.heat)
    yield from look(w, at, best)


def look(w, at, photo):
    """Look around in the photo as if it had been taken at its first candidate."""
    answer = at.tab.answer
    answer.list.choose(photo)
    beats = w.heartbeat()
    click(answer.photo)
    yield w.until(lambda: at.dock.workspace.viewer is not None, 10, "the viewer")
    window = at.dock.workspace.viewer
    yield w.until(lambda: window.viewer._frame is not None and not window.viewer._painter.busy, 20, "the photo")
    yield from at.still()
    at.measured("viewing a photo", beats)
    w.result["looking"] = [window.viewer.heading_deg, answer.answers.of_photo(photo).best.heading_deg]
    w.result["cut_off"]["viewer"] = cut_off(window)
    yield 0.5
    w.picture("look")
    window.close()
    yield 0.2


def linked(w, at, photo):
    """A selection on the map chooses in the list; a double click in the list zooms the map."""
    answer = at.tab.answer
    layer = answer.layers.layer()
    second = answer.answers.of_photo(photo).candidates[1]
    layer.selectByIds([second.fid])
    yield 0.1
    w.result["chosen_by_map"] = [answer.list.current, answer.table.rank]
    row = answer.table.visualItemRect(answer.table.topLevelItem(0)).center()
    click(answer.table.viewport(), row)
    yield 0.1
    w.result["chosen_by_list"] = [feature["rank"] for feature in layer.selectedFeatures()]
    answer.table.itemDoubleClicked.emit(answer.table.topLevelItem(0), 0)
    yield from at.still()
    first = answer.answers.of_photo(photo).best
    w.result["zoomed"] = iface.mapCanvas().extent().contains(first.point) and iface.mapCanvas().scale() < 2000


def review(w, at, out):
    """By keys: what lies near the truth is accepted, the room is rejected; a proposed place gets its score."""
    answer = at.tab.answer
    first = next(iter(w.arguments["truth"]))
    answer.list.choose(first)
    yield 0.1
    beats = w.heartbeat()
    click(answer.review)
    panel = at.tab.review.panel
    yield w.until(lambda: panel.walk is not None and panel.isVisible(), 20, "the review")
    decisions = w.result["decisions"] = []
    for _ in range(40):
        candidate = panel.walk.candidate
        yield w.until(lambda: not panel.panes.busy, 20, "the crop")
        yield 0.3
        truth = w.arguments["truth"].get(candidate.photo)
        good = truth is not None and metres(candidate, truth) < NEAR_M
        if good and not decisions:
            at.measured("review: the first candidate", beats)
            yield from picture_of_review(w, at, panel)
            beats = w.heartbeat()
        if candidate.photo in {photo for photo, _, accepted in decisions if accepted} or len(decisions) > 20:
            break
        decisions.append([candidate.photo, candidate.rank, good])
        key(panel, Qt.Key.Key_A if good else Qt.Key.Key_R)
        yield 0.2
        if truth is None and candidate.rank >= 2:
            break
    yield w.until(lambda: not panel.strip.keeper.busy, 20, "the decisions are on the disk")
    yield 0.3
    at.measured("review", beats)
    yield from export(w, at, panel, out)


def picture_of_review(w, at, panel):
    panel.panes.show_above(True)
    panel.controls.opacity.setValue(45)
    yield w.until(lambda: not panel.panes.busy, 20, "the photo from above")
    yield 1.0
    w.result["cut_off"]["review"] = cut_off(panel)
    w.picture("qgis-locate-review", small=True)
    panel.panes.show_above(False)


def export(w, at, panel, out):
    """Copies of the photos that know their place, and the layer of located photos."""
    strip = panel.strip
    w.result["located"] = strip.text.text()
    (out / "copies").mkdir()
    choose_folder(out / "copies")
    click(strip.copies)
    yield w.until(lambda: strip.write_back.running, 5, "copies")
    yield w.until(lambda: not strip.write_back.running, 60, "the copies")
    yield 0.2
    w.result["copies_said"] = strip.told.text()
    w.result["layers"] = {layer.name(): layer.source() for layer in QgsProject.instance().mapLayers().values()}
    located = next(layer for layer in QgsProject.instance().mapLayers().values() if "located_photos" in layer.source())
    w.result["rows"] = [
        {name: str(feature[name]) for name in ("photo", "how", "index", "method", "sha256", "reviewer", "decided_at")}
        | {"lon": feature["lon"], "lat": feature["lat"], "heading_deg": feature["heading_deg"]}
        for feature in located.getFeatures()
    ]
    at.tab.review.close()
    yield 0.2


def tiles(w, at, out):
    """Map tiles of a server as the reference, a circle round a clicked place as the region."""
    photo, (lon, lat, _) = next(iter(w.arguments["truth"].items()))
    layer = QgsRasterLayer(f"type=xyz&url={w.arguments['tiles']}&zmax=19&zmin=0", "Map tiles", "wms")
    QgsProject.instance().addMapLayer(layer, False)
    yield from at.page("region")
    page, form = at.tab.region, at.tab.region.form
    form.reference.layer.set_layer(layer)
    yield from at.circle(lon, lat, 50)
    yield from at.estimated()
    w.result["tiles"] = {"note": form.reference.note.text(), "estimate": form.estimate.text.text()}
    w.picture("tiles", at.dock)
    yield from at.run(page, out / "tiles index", "index of tiles")
    yield from one_photo(w, at, out / "tiles found", photo, "search in tiles")
    w.result["tiles"]["found"] = at.found()


def real(w, at, out):
    """A real panorama; the region is what the map shows: its overhead image among five others."""
    scene = w.arguments["real"]
    yield from at.page("photos")
    yield from at.read("a real photo", lambda: drop(at.tab.photos, [scene["photo"]]))
    layer = QgsRasterLayer(scene["overhead"], "Real imagery")
    QgsProject.instance().addMapLayer(layer)
    QgsProject.instance().setCrs(layer.crs())
    iface.mapCanvas().setExtent(layer.extent())
    yield from at.page("region")
    page, form = at.tab.region, at.tab.region.form
    form.reference.layer.set_layer(layer)
    form.region.kind.setCurrentIndex(0)
    yield from at.still()
    yield from at.run(page, out / "real index", "index of real imagery")
    yield from one_photo(w, at, out / "real found", Path(scene["photo"]).stem, "search of a real photo")
    w.result["real"] = at.found()
    w.picture("real")
    QgsProject.instance().removeMapLayer(layer.id())
    town = w.layers()["Town, May 2024 (simulated)"]
    QgsProject.instance().setCrs(town.crs())
    iface.mapCanvas().setExtent(town.extent())


def learn_and_test(w, at, out):
    """The two pages behind the work; for the guide's picture the search is tested on the photos' known places."""
    layer = w.layers()["Town, May 2024 (simulated)"]
    for node in QgsProject.instance().layerTreeRoot().findGroups():
        node.setExpanded(False)
    iface.mapCanvas().setExtent(layer.extent())
    iface.messageBar().clearWidgets()
    yield from at.still()
    yield from at.page("learn")
    form = at.tab.learn.form
    form.reference.layer.set_layer(layer)
    form.out.setFilePath("/data/town/learned")
    yield from at.looked_at("learn")
    yield from at.page("test")
    test = at.tab.test
    test.form.index.use(str(out / "index"))
    test.form.photos.kind.setCurrentIndex(1)
    test.form.photos.folder.setFilePath(w.arguments["photos"])
    test.form.positions.kind.setCurrentIndex(1)
    test.form.positions.layer.set_path(w.arguments["positions"])
    if w.arguments.get("guide"):
        yield from at.run(test.page, out / "tested", "test")
        yield w.until(lambda: test.shows_results, 20, "the results of the test")
        iface.messageBar().clearWidgets()
        yield from at.still()
    yield from at.looked_at("test")


def one_photo(w, at, out, photo, what):
    """Search a single photo in the index that was just made."""
    page = at.tab.search
    yield w.until(lambda: at.tab.current == "search", 10, "the page of the search")
    page.form.photos.tick_only([p.path for p in at.tab.photo_set.photos() if Path(p.path).stem == photo])
    yield from at.run(page, out, what)
    yield from at.answered(out)


play(steps)
