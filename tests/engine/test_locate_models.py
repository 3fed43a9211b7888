"""Which model may search an index: the one whose embeddings it holds, whatever rings verify the candidates."""

from __future__ import annotations

import json

import pytest

from engine.crossview.index.reader import CellIndex
from engine.crossview.learned_describer import LearnedDescriber
from engine.errors import ModelError, ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.models.crossview_bundle import load_crossview
from tests.engine import locate_world as world
from tests.engine.test_describers import CPU, bundle

WEST, EAST = "9.1785,48.7791,9.1802,48.7809", "9.1798,48.7791,9.1815,48.7809"


def make(folder, method, *, region=WEST, **options):
    job = find_job("locate-index")
    given = {"reference": str(folder / "ortho.tif"), "region": region, "out": str(folder / "index"), "cell": 30}
    return job.run(job.parse({**given, "method": method, "device": "cpu", **options}), Reporter())


def search(folder, method, out):
    job = find_job("locate-search")
    given = {"index": str(folder / "index"), "panorama": [str(folder / "p.png")], "out": str(folder / out)}
    return job.run(job.parse({**given, "method": method, "verify": 4, "device": "cpu"}), Reporter())


@pytest.fixture
def place(tmp_path):
    world.write_reference(tmp_path / "ortho.tif")
    world.write_panorama(tmp_path / "p.png", world.panorama(world.ground(), *world.at(-40.0, 20.0), 30.0))
    return tmp_path


def test_an_index_outlives_the_rings_of_its_model(place):
    """A starter model with better rings is of the same embeddings: nobody has to describe a region again."""
    old, new = bundle(place / "old"), bundle(place / "new", rings=4)
    other = bundle(place / "other", seed=1)
    first, second, third = (load_crossview(folder) for folder in (old, new, other))
    assert first.card.weights_sha256 != second.card.weights_sha256
    assert first.embedding_sha256 == second.embedding_sha256 != third.embedding_sha256
    wider = load_crossview(bundle(place / "wider", extent=80.0))
    assert wider.embedding_sha256 != first.embedding_sha256, "what a crop shows matters as the weights do"

    made = make(place, old)
    found = search(place, new, "with-rings")
    assert len(found["figures"]["photos"]) == 1
    more = make(place, new, region=EAST, update=True)
    assert more["figures"]["added"] > 0 and CellIndex(place / "index").cells > made["figures"]["cells"]
    with pytest.raises(ModelError, match="other weights"):
        search(place, other, "found-by-another")
    with pytest.raises(ParameterError, match="made otherwise"):
        make(place, other, region=EAST, update=True)


def test_a_card_of_an_earlier_version_tells_the_digest_of_the_bundle(place):
    model = bundle(place / "model", rings=4)
    make(place, model)
    card = json.loads((place / "index" / "card.json").read_text())
    card["layers"][0]["model"]["sha256"] = load_crossview(model).card.weights_sha256
    (place / "index" / "card.json").write_text(json.dumps(card))
    search(place, model, "found")
    assert make(place, model, region=EAST, update=True)["figures"]["added"] > 0
    told = CellIndex(place / "index").card.layer("learned").model
    assert told == LearnedDescriber.load(model, device=CPU).model, "brought up to date"
