"""What scores of verified places are measured against: the index's own descriptions, where they are of the imagery."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.crossview.cells import CellLayout
from engine.crossview.crops import Cropper
from engine.crossview.geometric.ring_matcher import RingMatcher
from engine.crossview.geometric_describer import GeometricDescriber
from engine.crossview.imagery import Imagery
from engine.crossview.photos import read_query
from engine.crossview.search import verifying
from engine.crossview.sun import SunSight
from engine.device import Device
from engine.events import Reporter
from engine.jobs import find_job
from engine.locate.requests import LocateSearchRequest
from engine.locate.session import open_session
from engine.models.rings import RingNetwork
from engine.raster.read import open_raster
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


def counted(monkeypatch) -> list[int]:
    """How many crops are cut, call by call."""
    places: list[int] = []
    groups = Cropper._groups
    monkeypatch.setattr(Cropper, "_groups", lambda self, lon, *a: places.append(len(lon)) or groups(self, lon, *a))
    return places


def test_the_background_is_what_the_index_keeps_or_described_anew_and_alike(made, monkeypatch):
    """Another reference is described: what the index keeps is of its own imagery."""
    places = counted(monkeypatch)
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
    places = counted(monkeypatch)
    request = LocateSearchRequest(index=str(made / "index"), panorama=["-"], out="-", device="cpu")
    with open_session(request, Reporter(), tolerance_deg=15.0) as session:
        verifier, searcher = session.verifier, session.searcher
        verifier.prepare(searcher.lon, searcher.lat, Reporter())
        query = session.method.verifying.query(read_query(made / "p.png").image)

        def verified(cells):
            places.clear()
            return verifier.verify(query, searcher.lon[cells], searcher.lat[cells], Reporter()), sum(places)

        first, cost = verified([0, 1, 2])
        assert cost == 3, "one crop for the nine places of each"
        again, cost = verified([2, 3, 0])
        assert cost == 1, "one of the three is new"
        np.testing.assert_array_equal(again.z[[0, 2]], first.z[[2, 0]])
        np.testing.assert_array_equal(again.lon[[0, 2]], first.lon[[2, 0]])
        np.testing.assert_array_equal(again.heading[[0, 2]], first.heading[[2, 0]])
        monkeypatch.setattr(verifying, "KEPT_BYTES", 2 * verifier._around[searcher.lon[0], searcher.lat[0]][0].nbytes)
        verified([0])
        assert len(verifier._around) == 2
        fresh, cost = verified([1])
        assert cost == 1 and fresh.z[0] == first.z[1], "1 was needed longest ago"


def test_a_network_of_rings_sees_each_place_once(made, monkeypatch):
    """Its features are kept, of the background too, and a second photo gets what it would get alone."""
    device, seen, overhead = Device("cpu"), [], RingNetwork.overhead
    monkeypatch.setattr(RingNetwork, "overhead", lambda self, *a: seen.append(len(a[0])) or overhead(self, *a))
    turning = GeometricDescriber(device, matcher=RingMatcher(RingNetwork(8), device=device.torch))
    east, north = np.array([0.0, 30, -40, 50]), np.array([10.0, -30, 0, 40])
    lon, lat = np.array([world.at(*place) for place in zip(east, north, strict=True)]).T
    photos = [turning.query(read_query(made / "p.png").image)]
    photos.append(replace(photos[0], heading_deg=120.0))
    with open_raster(str(made / "ortho.tif")) as raster:

        def made_new():
            one = verifying.Verifier(turning, Cropper(Imagery(raster), side=turning.side), CellLayout(25.0), 0.5)
            one.prepare(lon, lat, Reporter())
            return one

        verifier = made_new()
        assert sum(seen) == 2 * 4, "as they are and mirrored"
        first = verifier.verify(photos[0], lon[:3], lat[:3], Reporter())
        assert sum(seen) == 2 * (4 + 27)
        second = verifier.verify(photos[1], lon[1:], lat[1:], Reporter())
        assert sum(seen) == 2 * (4 + 27 + 9), "one of its three places is new"
        alone = made_new().verify(photos[1], lon[1:], lat[1:], Reporter())
    np.testing.assert_allclose(second.z, alone.z, atol=0.01)
    np.testing.assert_allclose(second.heading, alone.heading, atol=0.5)
    assert not np.allclose(first.heading[1:], second.heading[:2]), "the photos differ"


class _Compass:
    """Sees the sun at one azimuth, or nowhere."""

    def __init__(self, azimuth):
        self.azimuth = azimuth

    def sight(self, pixels, view):
        share = (
            np.ones(90)
            if self.azimuth is None
            else np.exp(8 * np.cos(np.radians(self.azimuth - np.arange(-178, 181, 4))))
        )
        return SunSight(share / share.sum())


@pytest.mark.parametrize("azimuth", [None, 110.0, -70.0])
def test_the_sun_counts_in_deviations_for_candidates_and_background(made, azimuth):
    """The photo looks to 70°: a sun 110° from its middle stands in the south, as it must, one at −70° in the north."""
    request = LocateSearchRequest(index=str(made / "index"), panorama=["-"], out="-", device="cpu")
    with open_session(request, Reporter(), tolerance_deg=15.0) as session:
        verifier, searcher, image = (
            session.verifier,
            session.searcher,
            replace(read_query(made / "p.png").image, heading_known=False),
        )
        verifier.prepare(searcher.lon, searcher.lat, Reporter())
        lon, lat = searcher.lon[:6], searcher.lat[:6]
        plain = verifier.verify(session.method.verifying.query(image), lon, lat, Reporter())
        describer = GeometricDescriber(Device("cpu"), compass=_Compass(azimuth))
        query = describer.query(image)
        found = verifier.by(describer).verify(query, lon, lat, Reporter())
        codes, _ = verifier._surroundings(lon, lat, Reporter())
        matcher, leaning = describer._matcher, query.sun.leaning(float(lat.mean()), 120)
        curves = [
            matcher.curves([query.template], torch.from_numpy(np.array(c))).numpy()[0]
            for c in (codes, verifier._background)
        ]
    if azimuth is None:
        np.testing.assert_allclose(found.z, plain.z, atol=1e-5)
        np.testing.assert_allclose(found.heading, plain.heading, atol=1e-3)
        return
    spread = curves[1].max(axis=1).std()
    own, background = ((one + spread * leaning).max(axis=1) for one in curves)
    expected = ((own - background.mean()) / background.std()).reshape(6, -1).max(axis=1)
    np.testing.assert_allclose(found.z, expected, atol=1e-3)
    assert np.abs(found.z - plain.z).max() > 0.05
