"""Accepted places of photos: on the disk at once, one a photo, with provenance; shown as arrows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from osgeo import ogr
from qgis.core import QgsExpressionContextUtils, QgsMarkerSymbol, QgsProject, QgsRenderContext, QgsVectorLayer

from plugin.layers.located import REFUSED, TABLE, LocatedError, LocatedPhoto, LocatedPhotos, now, reviewer

PLACE = LocatedPhoto(
    photo="läke-1.jpg", path="/photos/läke-1.jpg", sha256="a" * 64, lon=9.18, lat=48.78, heading_deg=123.4,
    how="candidate 2", rank=2, score=3.25, probability=0.31, radius_m=50.0, index="/idx", method="geometric",
    imagery="/ortho.tif", imagery_date="2021-06-01", result="/found", reviewer="ann", decided_at=now(),
)  # fmt: skip


@pytest.fixture
def located(qgis_app, tmp_path):
    yield LocatedPhotos(tmp_path / "deep" / "located_photos.gpkg")
    QgsProject.instance().clear()


def on_disk(located, table):
    """What another program reads."""
    source = ogr.Open(str(located.path))
    return [(f.items(), f.GetGeometryRef().GetX(), f.GetGeometryRef().GetY()) for f in source.GetLayerByName(table)]


def test_a_place_is_on_the_disk_at_once_with_all_that_is_known(located):
    assert not located.exists and located.places() == []
    located.accept(PLACE)
    ((row, x, y),) = on_disk(located, TABLE)
    assert (x, y) == (9.18, 48.78)
    assert {name: row[name] for name in ("photo", "how", "rank", "reviewer", "sha256")} == {
        "photo": "läke-1.jpg", "how": "candidate 2", "rank": 2, "reviewer": "ann", "sha256": "a" * 64,
    }  # fmt: skip
    assert located.places() == [PLACE], "and is read back as it was"
    assert [p.name for p in located.path.parent.iterdir()] == [located.path.name], "nothing half made lies beside it"


def test_one_place_a_photo_the_last_counts(located):
    located.accept(PLACE)
    located.accept(replace(PLACE, path="/photos/other.jpg", sha256="b" * 64, photo="other.jpg", heading_deg=None))
    moved = replace(PLACE, path="/copied/läke-1.jpg", lon=9.2, how="by hand", rank=None, score=None, probability=None)
    located.accept(moved)
    assert [one.photo for one in located.places()] == ["other.jpg", "läke-1.jpg"]
    assert located.places()[1] == moved, "the same bytes are the same photo, wherever they lie"
    assert located.places()[0].heading_deg is None
    located.accept(replace(PLACE, sha256="", path="/photos/OTHER.jpg"))
    assert len(located.places()) == 3


def test_a_refused_candidate_is_noted_once_and_withdraws_what_was_accepted_there(located):
    located.accept(PLACE)
    located.refuse(replace(PLACE, lon=9.5))
    assert len(located.places()) == 1, "another place of the photo stays"
    located.refuse(PLACE)
    located.refuse(PLACE)
    assert located.places() == [] and len(located.refused()) == 2
    assert len(on_disk(located, REFUSED)) == 2


def test_the_layer_is_shown_once_and_follows(located):
    located.accept(PLACE)
    layer = located.show()
    assert located.show() is layer and layer.isValid() and layer.crs().authid() == "EPSG:4326"
    located.accept(replace(PLACE, sha256="c" * 64, photo="second.jpg", heading_deg=None))
    located.refresh()
    assert layer.featureCount() == 2
    context = QgsRenderContext()
    context.expressionContext().appendScope(QgsExpressionContextUtils.layerScope(layer))
    layer.renderer().startRender(context, layer.fields())
    shapes = {}
    for feature in layer.getFeatures():
        context.expressionContext().setFeature(feature)
        (symbol,) = layer.renderer().originalSymbolsForFeature(feature, context)
        assert isinstance(symbol, QgsMarkerSymbol)
        shapes[feature["photo"]] = symbol.symbolLayer(0).properties()["name"]
    layer.renderer().stopRender(context)
    assert shapes["läke-1.jpg"].startswith("arrow") and shapes["second.jpg"] == "circle"
    alone = QgsVectorLayer(f"{located.path}|layername={TABLE}", "alone", "ogr")
    assert alone.renderer().type() == "RuleRenderer", "the style travels with the file"


def test_files_that_cannot_be_used_are_told_in_one_line(located, tmp_path):
    path = tmp_path / "x.gpkg"
    path.write_text("no database")
    with pytest.raises(LocatedError, match=r"x\.gpkg: this is no file of located photos"):
        LocatedPhotos(path).accept(PLACE)
    (tmp_path / "file").write_text("")
    with pytest.raises(LocatedError, match="cannot be made"):
        LocatedPhotos(tmp_path / "file" / "located.gpkg").accept(PLACE)
    assert reviewer()
