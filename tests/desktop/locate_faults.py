"""Inside QGIS: what can go wrong on the Region page; each is one line, and nothing is left or lost."""

from __future__ import annotations

from locate_window import CIRCLE, DRAWN, LAYER, click
from qgis.core import QgsProject, QgsRasterLayer
from qgis.PyQt.QtCore import QPoint, Qt
from qgis.PyQt.QtTest import QTest
from qgis.utils import iface


def faults(w, at, out):
    """``w.result["faults"]``: what → the estimate's line, and the line after the button was pressed."""
    told = w.result["faults"] = {}
    page = at.tab.region
    form, region = page.form, page.form.region
    town = w.layers()["Town, May 2024 (simulated)"]
    iface.mapCanvas().setExtent(town.extent())
    yield from at.still()
    yield from at.page("region")
    form.reference.layer.set_layer(town)
    photos = len(at.tab.photo_set.photos())
    layers = set(w.layers())

    def tried(what, *, runs=False):
        """What the page says before and after its button is pressed."""
        folder = out / f"fault {what}"
        form.out.setFilePath(str(folder))
        yield from at.estimated()
        estimate = form.estimate.text.text()
        click(page.run_button)
        if runs:
            yield from at.begun(folder)
        yield w.until(lambda: not page.running, 120, f"{what}: the end")
        yield 0.2
        told[what] = [estimate, page.message.text()]
        w.picture(f"fault-{what}", at.dock)

    # A region without area: three clicks on a line, and a polygon layer with a flat polygon.
    region.kind.setCurrentIndex(DRAWN)
    yield 0.1
    canvas = iface.mapCanvas().viewport()
    middle = canvas.rect().center()
    for step in (0, 40, 80):
        click(canvas, middle + QPoint(step, 0))
        yield 0.6  # no double click
    QTest.mouseClick(canvas, Qt.MouseButton.RightButton, Qt.KeyboardModifier.NoModifier, middle + QPoint(80, 0))
    yield from tried("drawn flat")
    region.kind.setCurrentIndex(LAYER)
    region.layer.set_path(w.arguments["line"])
    yield from tried("flat polygon")

    # Beside the imagery.
    region.kind.setCurrentIndex(CIRCLE)
    region.circle.radius.setValue(50)
    region.circle.set_place(15.2, 54.1)
    yield from tried("outside")

    # Imagery that is too coarse.
    region.circle.set_place(*next(iter(w.arguments["truth"].values()))[:2])
    form.reference.layer.set_path(w.arguments["coarse"])
    yield from tried("coarse", runs=True)

    # A server that answers nothing but errors.
    broken = QgsRasterLayer(f"type=xyz&url={w.arguments['broken_tiles']}&zmax=19&zmin=0", "Broken server", "wms")
    QgsProject.instance().addMapLayer(broken, False)
    form.reference.layer.set_layer(broken)
    yield from tried("server", runs=True)
    QgsProject.instance().removeMapLayer(broken.id())

    w.result["lost"] = {
        "photos": len(at.tab.photo_set.photos()) - photos,
        "layers": sorted(layers - set(w.layers())),
        "left": sorted(path.name for path in out.iterdir() if "fault" in path.name),
        "broken in the list": [facts.name for facts in at.tab.library.indexes() if "fault" in facts.name],
    }
