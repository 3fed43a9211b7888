"""What scores of verified places are measured against: the index's own descriptions, where they are of the imagery."""

from __future__ import annotations

import numpy as np
import pytest

from engine.crossview.crops import Cropper
from engine.crossview.photos import read_query
from engine.crossview.search import verifying
from engine.events import Reporter
from engine.jobs import find_job
from engine.locate.requests import LocateSearchRequest
from engine.locate.session import open_session
from tests.engine import locate_world as world


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with the geometric ``index`` of ``ortho.tif``, and the photo ``p.png``."""
    folder = tmp_path_factory.mktemp("verifying")
    reference = world.write_reference(folder / "ortho.tif")
    world.write_panorama(folder / "p.png", world.panorama(world.ground(), *world.at(20, 30), 70.0))
    job = find_job("locate-index")
    given = {"reference": reference, "region": world.BOX, "out": str(folder / "index"), "method": "geometric"}
    job.run(job.parse(given | {"cell": 25}), Reporter())
    return folder


def test_the_background_is_what_the_index_keeps_or_described_anew_and_alike(made, monkeypatch):
    """Another reference is described: what the index keeps is of its own imagery."""
    cut, places = Cropper.cut, []
    monkeypatch.setattr(Cropper, "cut", lambda self, lon, *a, **b: places.append(len(lon)) or cut(self, lon, *a, **b))
    found = []
    for reference in (None, str(made / "ortho.tif")):
        request = LocateSearchRequest(
            index=str(made / "index"), panorama=["-"], out="-", device="cpu", reference=reference
        )
        with open_session(request, Reporter(), tolerance_deg=15.0) as session:
            verifier, searcher = session.verifier, session.searcher
            places.clear()
            verifier.prepare(searcher.lon, searcher.lat, Reporter())
            assert sum(places) == (0 if reference is None else len(searcher.lon))
            verifier.prepare(searcher.lon.copy(), searcher.lat, Reporter())
            assert sum(places) == (0 if reference is None else len(searcher.lon)), "not described again"
            query = session.method.verifying.query(read_query(made / "p.png").image)
            checked = verifier.verify(query, searcher.lon[:4], searcher.lat[:4], Reporter())
            found.append((verifier._background.astype(int), checked.z))
    (kept, z), (again, z_again) = found
    assert kept.shape == again.shape and np.abs(kept - again).max() <= 1 and (kept != again).mean() < 1e-3
    assert z == pytest.approx(z_again, abs=0.01)


def test_what_was_described_for_one_photo_is_kept_for_the_next(made, monkeypatch):
    """The same answers, cut once; of what there is no room for the oldest is made again."""
    cut, places = Cropper.cut, []
    monkeypatch.setattr(Cropper, "cut", lambda self, lon, *a, **b: places.append(len(lon)) or cut(self, lon, *a, **b))
    request = LocateSearchRequest(index=str(made / "index"), panorama=["-"], out="-", device="cpu")
    with open_session(request, Reporter(), tolerance_deg=15.0) as session:
        verifier, searcher = session.verifier, session.searcher
        verifier.prepare(searcher.lon, searcher.lat, Reporter())
        query = session.method.verifying.query(read_query(made / "p.png").image)

        def verified(cells):
            places.clear()
            return verifier.verify(query, searcher.lon[cells], searcher.lat[cells], Reporter()), sum(places)

        first, cost = verified([0, 1, 2])
        assert cost == 27
        again, cost = verified([2, 3, 0])
        assert cost == 9, "one of the three is new"
        np.testing.assert_array_equal(again.z[[0, 2]], first.z[[2, 0]])
        np.testing.assert_array_equal(again.lon[[0, 2]], first.lon[[2, 0]])
        np.testing.assert_array_equal(again.heading[[0, 2]], first.heading[[2, 0]])
        monkeypatch.setattr(verifying, "KEPT_BYTES", 2 * verifier._around[searcher.lon[0], searcher.lat[0]][0].nbytes)
        verified([0])
        assert len(verifier._around) == 2
        fresh, cost = verified([1])
        assert cost == 9 and fresh.z[0] == first.z[1], "1 was needed longest ago"
