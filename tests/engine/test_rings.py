"""Learned features of ground rings turn with what they describe, and a matcher of them finds what it was taught."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.crossview.geometric.color import lab as to_lab
from engine.crossview.geometric.matcher import GeometricMatcher
from engine.crossview.geometric.ring_matcher import LAYOUT, RingMatcher, above
from engine.crossview.search import tables
from engine.errors import ParameterError
from engine.events import Reporter
from engine.jobs import find_job
from engine.locate.requests import LocateSearchRequest
from engine.locate.session import open_session
from engine.models.build import build, describe
from engine.models.crossview import CrossViewNetwork
from engine.models.crossview_bundle import load_crossview, save_crossview
from engine.models.rings import FEATURES, RINGS, RingNetwork, mirrored, turned_similarity
from engine.panorama.view import PanoramaView
from tests.engine import locate_world as world
from tests.engine.test_geometric_matcher import ground, seen_from


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(seed: int = 0, width: int = 8) -> RingNetwork:
    torch.manual_seed(seed)
    return RingNetwork(width).eval()


def rings(seed: int, sectors: int = 24) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draws = draw(seed)
    lab = torch.rand(2, 3, RINGS, sectors, generator=draws) * torch.tensor([100.0, 60, 60])[:, None, None]
    seen = (torch.rand(2, RINGS, sectors, generator=draws) < 0.8).float()
    return lab, seen, torch.rand(2, 3, RINGS, sectors, generator=draws) * 2 - 1


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 11))
def test_features_turn_with_the_photo_and_are_of_unit_length(seed, turn):
    lab, seen, high = rings(seed)
    net = network(seed % 3)
    with torch.no_grad():
        found = net.ground(lab, seen, high)
        turned = net.ground(*(x.roll(2 * turn, dims=-1) for x in (lab, seen, high)))
        over = net.overhead(lab, seen)
    assert found.shape == (2, FEATURES, RINGS, 12)
    torch.testing.assert_close(turned, found.roll(turn, dims=-1), atol=1e-5, rtol=0)
    for one in (found, over):
        torch.testing.assert_close(one.flatten(1).norm(dim=1), torch.ones(2))
    assert (over.abs().sum(1)[(seen[..., ::2] <= 0.25)] == 0).all(), "what is not shown says nothing"


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31))
def test_the_similarity_is_that_of_a_loop_over_turns(seed):
    a, b = torch.randn(2, 3, 4, 10, generator=draw(seed)), torch.randn(5, 3, 4, 10, generator=draw(seed + 1))
    found = turned_similarity(a, b, 10)
    for turn in range(10):
        expected = torch.einsum("qcrj,ncrj->qn", a, b.roll(-turn, dims=-1))
        torch.testing.assert_close(found[..., turn], expected, atol=1e-4, rtol=1e-4)
    # Twice as many turns: the same at every second, and smooth between.
    torch.testing.assert_close(turned_similarity(a, b, 20)[..., ::2], found, atol=1e-3, rtol=1e-3)
    assert (turned_similarity(a, a, 20).argmax(2).diagonal() == 0).all()


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31))
def test_a_branch_is_that_of_the_plain_convolutions(seed):
    """The column of an azimuth is convolved as if it were repeated in every ring."""
    values = torch.randn(2, 5, RINGS, 24, generator=draw(seed))
    branch = network(seed % 5).overhead_branch

    def padded(x, sectors):
        return F.pad(F.pad(x, (sectors, sectors, 0, 0), mode="circular"), (0, 0, 1, 1), mode="replicate")

    with torch.no_grad():
        x = F.relu(branch.first_norm(branch.first(padded(values, 2))))
        x = F.relu(branch.second_norm(branch.second(padded(x, 2))))
        column = F.relu(branch.column(x.flatten(1, 2)))[:, :, None].expand_as(x)
        expected = F.relu(branch.third(padded(torch.cat([x, column], dim=1), 3)))
        torch.testing.assert_close(branch(values), expected, atol=1e-5, rtol=1e-4)


def test_what_is_made_ready_once_gives_the_scores_of_every_photo():
    matcher = RingMatcher(network(1))
    images = torch.rand(9, 3, 160, 160, generator=draw(2))
    codes = matcher.codes(images, 0.5)
    photos = [torch.rand(3, 64, 256, generator=draw(k)) for k in range(3)]
    templates = [matcher.template(photo, PanoramaView()) for photo in photos]
    ready = matcher.ready(codes)
    assert ready.shape == (9, 2 * FEATURES, RINGS, LAYOUT.sectors // 2) and ready.dtype == torch.float16
    curves = matcher.curves(templates, codes)
    assert (matcher.turned(templates, ready) - curves).abs().max() < 1e-4
    scores, turned = matcher.scores(templates, ready, headings_deg=[None, None, 200.0], tolerance_deg=20)
    assert scores.shape == turned.shape == (3, 9)
    for row, (template, told) in enumerate(zip(templates, (None, None, 200.0), strict=True)):
        alone, at = matcher.score(template, codes, heading_deg=told, tolerance_deg=20)
        assert torch.equal(scores[row], alone) and torch.equal(turned[row], at)
    assert ((turned[2] - 200).abs() <= 22).all() and (scores[0] - curves[0].amax(1)).abs().max() < 1e-4


def test_a_mirrored_photo_finds_the_mirrored_image_at_the_mirrored_turn():
    matcher = RingMatcher(network(2))
    images = torch.cat([ground(k) for k in range(4)])
    photo = seen_from(images[:1], 70.0)
    plain = matcher.curves([matcher.template(photo, PanoramaView())], matcher.codes(images, 0.5))[0]
    other = matcher.curves([matcher.template(photo.flip(-1), PanoramaView())], matcher.codes(images.flip(-1), 0.5))[0]

    def alike(a, b):
        return [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(a, b, strict=True)]

    assert min(alike(other, mirrored(plain))) > 0.97, "but for sectors, which are half a place aside"
    assert max(alike(plain, mirrored(plain))) < 0.9, "the scenes are not symmetric"
    features = matcher.ready(matcher.codes(images, 0.5)).float()
    torch.testing.assert_close(features.flatten(1).norm(dim=1), torch.ones(4), atol=1e-3, rtol=0)


def test_what_is_not_shown_and_how_bright_it_is_change_nothing():
    lab, seen, high = rings(1)
    net = network()
    with torch.no_grad():
        before = net.ground(lab, seen, high)
        other = torch.where(seen[:, None] > 0.25, lab, lab + 30)
        torch.testing.assert_close(net.ground(other, seen, high), before, atol=1e-5, rtol=0)
        light = lab * torch.tensor([0.5, 1, 1])[:, None, None] + torch.tensor([7.0, 4, -3])[:, None, None]
        torch.testing.assert_close(net.ground(light, seen, high), before, atol=1e-4, rtol=0)


def test_a_matcher_learns_places_and_headings(tmp_path):
    """A few steps on patches of colour: others of them are found, at their headings."""
    images = torch.cat([ground(seed) for seed in range(20)])
    headings = [(37.0 * k) % 360 for k in range(20)]
    plain = GeometricMatcher()
    lab, covered = plain.decoded(plain.codes(images, 0.5))
    photos, shares, highs = [], [], []
    for image, heading in zip(images, headings, strict=True):
        photo, view = seen_from(image[None], heading), PanoramaView()
        values, share = LAYOUT.ground(photo[None], view, 2.5)
        photos.append(to_lab(values)[0])
        shares.append(share[0])
        highs.append(above(photo[None], [view])[0])
    street, seen, high = torch.stack(photos), torch.stack(shares), torch.stack(highs)
    net = network(0, 8).train()
    optimiser = torch.optim.AdamW(net.parameters(), 5e-3)
    turns = torch.tensor([round(heading / 6) % 60 for heading in headings])
    train = torch.arange(14)
    for _ in range(25):
        table = turned_similarity(
            net.ground(street[:14], seen[:14], high[:14]), net.overhead(lab[:14], covered[:14]), 60
        )
        logits = (table * 20).reshape(14, -1)
        loss = torch.nn.functional.cross_entropy(logits, train * 60 + turns[:14])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    matcher = RingMatcher(net)
    codes = matcher.codes(images[14:], 0.5)
    assert torch.equal(codes, plain.codes(images[14:], 0.5)), "one layer of an index serves both"
    right = near = 0
    for k in range(14, 20):
        template = matcher.template(seen_from(images[k : k + 1], headings[k]), PanoramaView())
        scores, found = matcher.score(template, codes)
        right += int(scores.argmax()) == k - 14
        near += abs((float(found[k - 14]) - headings[k] + 180) % 360 - 180) <= 9
    assert right >= 4 and near >= 4, (right, near)
    _, held = matcher.score(template, codes, heading_deg=(headings[19] + 90) % 360, tolerance_deg=10)
    assert (((held - headings[19] - 90 + 180) % 360 - 180).abs() <= 12).all(), "a known heading is kept"


def test_what_stands_above_the_horizon_is_laid_out_as_the_sectors_are():
    photo = torch.zeros(1, 3, 90, 360)
    photo[..., :45, 180] = 1  # ahead, where the view looks to: 50°
    found = above(photo, [PanoramaView(heading_deg=50.0, vfov_deg=90)])[0, 0]
    assert found.shape == (RINGS, LAYOUT.sectors)
    assert abs(int(found.mean(0).argmax()) * 3 - 50) <= 3
    strip = above(photo[..., 40:50, :], [PanoramaView(vfov_deg=10)])[0]
    assert (strip[:, :12] == 0).all() and (strip[:, -2:] != 0).all(), "higher than it shows"


def test_a_photo_of_the_sky_alone_is_told():
    with pytest.raises(ParameterError, match="shows no ground"):
        RingMatcher(network()).template(torch.zeros(3, 40, 80), PanoramaView(vfov_deg=20, pitch_center_deg=60))
    with pytest.raises(ParameterError, match="A photo is"):
        RingMatcher(network()).template(torch.zeros(1, 40, 80), PanoramaView())


def bundle(folder: Path, width: int) -> CrossViewNetwork:
    """A small cross-view bundle whose rings are of that width."""
    side = {"size": [32, 32], "mean": [0.5] * 3, "std": [0.2] * 3}
    card = {
        "name": "m", "title": "M", "licence": "x", "gsd_m": [0.3, 0.6], "trained_on": [],
        "crossview": {
            "ground": {**side, "size": [32, 64], "hfov_deg": 360, "vfov_deg": 60, "heading": "north"},
            "overhead": {**side, "extent_m": 40},
        },
    }  # fmt: skip
    made = CrossViewNetwork("resnet18", ground_size=(32, 64), overhead_size=(32, 32), width=0.125, rings=width)
    save_crossview(folder, made, card)
    return made


@pytest.mark.parametrize("width", [0, 8], ids=["without rings", "with rings"])
def test_a_model_of_ones_own_searches_and_scores_with_rings_or_without(tmp_path, width):
    bundle(tmp_path / "model", width)
    reference = world.write_reference(tmp_path / "ortho.tif")
    world.write_panorama(tmp_path / "p.png", world.panorama(world.ground(), *world.at(20, 30), 70.0))
    common = {"device": "cpu", "method": str(tmp_path / "model")}

    def run(name: str, **options: object) -> dict:
        job = find_job(name)
        return job.run(job.parse(common | options), Reporter())

    index = str(tmp_path / "index")
    run("locate-index", reference=reference, region=world.BOX, out=index, cell=40)
    asked = {"index": index, "panorama": [str(tmp_path / "p.png")], "verify": 3}
    found = run("locate-search", **asked, out=str(tmp_path / "out"))
    assert any("not fitted for this model" in line for line in found["warnings"])
    (place,) = run("locate-score", **asked, at=["{:.6f},{:.6f}".format(*world.at(20, 30))])["figures"]["photos"][0][
        "places"
    ]
    assert place["verified"] is not None and place["score"] is not None
    request = LocateSearchRequest(**common, **asked, out="-")
    with open_session(request, Reporter(), tolerance_deg=15.0) as session:
        matcher = session.method.verifying._matcher
        assert isinstance(matcher, RingMatcher if width else GeometricMatcher)
        fitted = tables.TABLES[tables.RINGS if width else tables.LEARNED]
        assert session.calibration.weights == fitted.weights, "each is fitted for what verifies"
    bare = request.model_copy(update={"verify": 0})
    reporter = Reporter()
    with open_session(bare, reporter, tolerance_deg=15.0) as session:
        assert session.verifier is None and session.calibration.weights.verified == 0
        assert session.calibration.match_at == 1 and "none is called found" in reporter.warnings[-1]


def test_a_bundle_keeps_them_and_one_without_has_none(tmp_path):
    for width in (0, 8):
        made = bundle(tmp_path / str(width), width)
        model = load_crossview(tmp_path / str(width))
        assert model.card.network.rings == width == describe(made)["rings"] == made.settings()["rings"]
        assert (model.network.rings is None) == (width == 0) == (build(model.card).rings is None)
    kept = load_crossview(tmp_path / "8").network.rings
    assert kept is not None and math.isclose(float(kept.scale), 3.0)
    torch.testing.assert_close(kept.weight.weight, made.rings.weight.weight)
