"""Laws of simulated scenes: the same however they are cut, truth that is exact, pixels that look like Sentinel's."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage, stats

from engine.errors import GridError
from engine.raster.grid import Window
from engine.simulate import radar
from engine.simulate.drainage import make_rivers
from engine.simulate.noise import block_normals, derive, fractal_noise, hash_integers, lattice_noise, normal_of
from engine.simulate.request import SceneRequest, SceneSettings
from engine.simulate.scene import SceneArrays, SimulatedScene, simulate_scene
from engine.simulate.terrain import radar_shadow

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "flood"

_windows = st.builds(Window, st.integers(-300, 900), st.integers(-300, 900), st.integers(1, 70), st.integers(1, 70))


@pytest.fixture(scope="module")
def scene() -> SimulatedScene:
    return SimulatedScene(SceneSettings(seed=7, width=1100, height=620, clouds=0.2, border=True, relief=900))


@pytest.fixture(scope="module")
def whole(scene: SimulatedScene) -> SceneArrays:
    return scene.window(scene.grid.window)


def _same(a: SceneArrays, b: SceneArrays, window: Window) -> None:
    for field in fields(SceneArrays):
        left, right = getattr(a, field.name), getattr(b, field.name)
        cut = left[..., window.row : window.row_stop, window.col : window.col_stop]
        np.testing.assert_array_equal(cut, right, err_msg=field.name)


# --- the same however it is cut -----------------------------------------------------------------------------------


@given(
    window=_windows,
    inner=st.tuples(*[st.floats(0, 1)] * 4),
    seed=st.integers(0, 2**62),
    period=st.sampled_from([4, 8, 24]),
)
@settings(max_examples=40, deadline=None)
def test_noise_of_a_window_is_the_crop_of_a_larger_window(
    window: Window, inner: tuple[float, ...], seed: int, period: int
) -> None:
    row, col = int(inner[0] * (window.height - 1)), int(inner[1] * (window.width - 1))
    height, width = 1 + int(inner[2] * (window.height - row - 1)), 1 + int(inner[3] * (window.width - col - 1))
    part = Window(window.row + row, window.col + col, height, width)
    large, small = lattice_noise(seed, window, period), lattice_noise(seed, part, period)
    np.testing.assert_allclose(large[part.within(window)], small, atol=2e-6)


@pytest.mark.parametrize(
    "window", [Window(0, 0, 620, 1100), Window(500, 490, 40, 60), Window(619, 0, 1, 1100), Window(3, 1024, 600, 76)]
)
def test_a_window_equals_the_crop_of_the_whole_scene(scene: SimulatedScene, whole: SceneArrays, window: Window) -> None:
    _same(whole, scene.window(window), window)


def test_a_second_scene_of_the_same_seed_is_the_same_to_the_bit_and_another_seed_is_not(whole: SceneArrays) -> None:
    given = {"width": 1100, "height": 620, "clouds": 0.2, "border": True, "relief": 900}
    _same(whole, simulate_scene(seed=7, **given), Window(0, 0, 620, 1100))
    other = simulate_scene(seed=8, **given)
    assert np.mean(other.landcover != whole.landcover) > 0.2


def test_what_is_not_asked_for_does_not_change_what_is(whole: SceneArrays) -> None:
    alone = simulate_scene(seed=7, width=1100, height=620, clouds=0.2, border=True, relief=900, products="s1, labels")
    np.testing.assert_array_equal(alone.after, whole.after)
    np.testing.assert_array_equal(alone.after_label, whole.after_label)
    assert alone.optical is None and alone.dem is None and alone.flood_truth is None


# --- randomness ---------------------------------------------------------------------------------------------------


def test_hashes_are_uniform_and_neighbours_independent() -> None:
    h = hash_integers(5, np.arange(300)[:, None], np.arange(300)[None, :])
    assert len(np.unique(h)) > 0.9999 * h.size
    share = h / 2.0**32
    assert stats.kstest(share.ravel(), "uniform").statistic < 0.01
    for a, b in ((share[1:], share[:-1]), (share[:, 1:], share[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.01
    z = normal_of(h)
    assert abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01 and stats.kstest(z.ravel(), "norm").statistic < 0.02


@given(
    st.lists(
        st.tuples(st.integers(0, 2**40), st.one_of(st.text("abcxyz", max_size=4), st.integers(0, 9))),
        min_size=2,
        max_size=20,
        unique=True,
    )
)
@settings(max_examples=30, deadline=None)
def test_streams_have_different_seeds(names: list[tuple[int, str | int]]) -> None:
    assert len({derive(seed, stream) for seed, stream in names}) == len(names)


def test_noise_has_mean_0_and_variance_1_and_no_structure_of_its_lattice() -> None:
    field = fractal_noise(3, Window(0, 0, 1024, 1024), 32, 8)
    assert abs(field.mean()) < 0.05 and abs(field.std() - 1) < 0.1
    by_phase = [field[k::32].std() for k in range(32)]
    assert max(by_phase) / min(by_phase) < 1.15


def test_blocks_are_independent_of_each_other() -> None:
    a, b = block_normals(1, (0, 0), (200, 200)), block_normals(1, (0, 1), (200, 200))
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02
    np.testing.assert_array_equal(a, block_normals(1, (0, 0), (200, 200)))


@pytest.mark.parametrize("looks", [1.0, 4.4, 20.0])
def test_speckle_is_gamma_with_the_looks_asked_for_and_correlated_like_grd(looks: float) -> None:
    fields_ = [radar.speckle(9, (0, k), (512, 512), size=512, looks=looks) for k in range(4)]
    values = np.concatenate([f[::6, ::6].ravel() for f in fields_])  # far enough apart to be independent
    assert abs(values.mean() - 1) < 0.03
    assert values.mean() ** 2 / values.var() == pytest.approx(looks, rel=0.08)
    if looks > 4:
        assert stats.kstest(values, "gamma", args=(looks, 0, 1 / looks)).statistic < 0.015
    across = np.corrcoef(fields_[0][:, 1:].ravel(), fields_[0][:, :-1].ravel())[0, 1]
    down = np.corrcoef(fields_[0][1:].ravel(), fields_[0][:-1].ravel())[0, 1]
    assert 0.55 < down < across < 0.75


def test_dates_polarisations_and_blocks_have_independent_speckle() -> None:
    a = simulate_scene(seed=2, width=1024, height=256, flood=0, wind=0, towns=False, products="s1")
    images = [image[:, part] for image in (*a.before, *a.after) for part in (slice(0, 512), slice(512, 1024))]
    residual = [(image - ndimage.uniform_filter(image, 7)).ravel() for image in images]
    for i in range(8):
        for j in range(i):
            # The ground's texture is common to the images of a block (even or odd number), speckle to none.
            limit = 0.3 if (i - j) % 2 == 0 else 0.02
            assert abs(np.corrcoef(residual[i], residual[j])[0, 1]) < limit, (i, j)


# --- the ground ---------------------------------------------------------------------------------------------------


def test_rivers_fall_downstream_and_widen() -> None:
    rivers = make_rivers(4, 800, 900, gsd=10.0)
    assert len(rivers.rows) > 200
    assert rivers.level.min() >= 20 and rivers.half_width.min() >= 1
    widest = rivers.half_width > np.quantile(rivers.half_width, 0.9)
    assert rivers.level[widest].mean() < rivers.level[~widest].mean()
    assert rivers.size.max() == pytest.approx(1)


@pytest.mark.parametrize("seed", [0, 11])
def test_flood_is_low_lying_and_joined_to_permanent_water(seed: int) -> None:
    a = simulate_scene(seed=seed, width=700, height=700, products="truth,water,dem")
    water, flood = a.flood_truth > 0, a.flood_truth == 2
    assert 0.01 < flood.mean() < 0.5 and 0.005 < (a.flood_truth == 1).mean() < 0.25
    np.testing.assert_array_equal(a.flood_truth == 1, a.reference_water == 1)
    labels, _ = ndimage.label(water, np.ones((3, 3)))
    joined = np.isin(labels, np.unique(labels[a.flood_truth == 1]))
    assert joined[flood].mean() > 0.98
    # Height above the nearest permanent water: below the flood's rise wherever there is flood.
    _, (row, col) = ndimage.distance_transform_edt(a.flood_truth != 1, return_indices=True)
    above = a.dem - a.dem[row, col]
    assert np.median(above[flood]) < 2.5 < np.median(above[a.flood_truth == 0])


def test_a_higher_flood_covers_a_lower_one_and_no_flood_covers_nothing() -> None:
    none, low, high = (
        simulate_scene(seed=3, width=400, height=300, flood=rise, products="truth").flood_truth
        for rise in (0, 1.0, 4.0)
    )
    assert not (none == 2).any()
    assert ((low == 2) <= (high == 2)).all() and (high == 2).sum() > 1.2 * (low == 2).sum() > 0


def test_wet_fields_are_dark_whole_fields_away_from_rivers_and_nothing_else_changes() -> None:
    plain, wet = (
        simulate_scene(seed=3, width=400, height=400, flood=0, wind=0, wet_fields=share, products="s1,truth,labels")
        for share in (0.0, 0.5)
    )
    new = (wet.flood_truth == 2) & (plain.flood_truth != 2)
    assert not (plain.flood_truth == 2).any() and 0.03 < new.mean() < 0.6
    np.testing.assert_array_equal(plain.before, wet.before)
    far = ~ndimage.binary_dilation(new, np.ones((3, 3)), iterations=2)
    far[[0, -1]] = far[:, [0, -1]] = False  # fields just outside the scene shine into its edge
    np.testing.assert_array_equal(plain.after[:, far], wet.after[:, far])
    seen = ndimage.binary_erosion(wet.after_label == 1, np.ones((5, 5))) & new
    assert seen.sum() > 500 and np.median(wet.after[1][seen]) < np.median(plain.after[1][seen]) - 6
    _, count = ndimage.label(new)
    assert count > 5, "fields lie apart"


def test_bright_fields_are_bright_dry_and_alike_at_both_dates() -> None:
    plain, bright = (
        simulate_scene(seed=3, width=300, height=300, wind=0, bright_fields=share, products="s1,truth")
        for share in (0.0, 0.1)
    )
    rise = bright.before - plain.before
    roofs = ndimage.binary_erosion(rise[0] > 2.5, np.ones((3, 3)))
    assert 0.01 < roofs.mean() < 0.25 and np.median(rise[0][roofs]) > np.median(rise[1][roofs]) + 3
    assert (np.abs(rise[0]) < 0.1).mean() > 0.5, "other ground is as it was"
    assert (bright.after[0] - plain.after[0])[roofs].min() > 0, "no flood dims a roof"
    assert (bright.flood_truth[roofs] == 0).mean() > 0.99


def test_without_lookalikes_no_dry_ground_is_as_dark_as_water() -> None:
    dark = []
    for lookalikes in (True, False):
        a = simulate_scene(
            seed=5, width=512, height=512, flood=0, relief=20, lookalikes=lookalikes, products="s1,labels"
        )
        smooth = ndimage.uniform_filter(a.before[1], 7)
        dark.append(((smooth < -24) & ndimage.binary_erosion(a.before_label == 0, np.ones((21, 21)))).mean())
    assert dark[0] > 0.002 and dark[1] < dark[0] / 4


def test_shadow_is_that_of_a_ray_traced_one_by_one() -> None:
    rng = np.random.default_rng(1)
    height = (ndimage.gaussian_filter(rng.normal(size=(6, 90)), (0, 2)) * 400).astype(np.float32)
    angle, halo = 40.0, 20
    found = radar_shadow(height, np.full(90, angle, np.float32), gsd=10.0, halo=halo)
    expected = np.zeros((6, 70), bool)
    for r in range(6):
        for c in range(halo, 90):
            rays = [height[r, k] - height[r, c] > (c - k) * 10 / np.tan(np.radians(angle)) for k in range(c)]
            expected[r, c - halo] = any(rays)
    assert expected.any() and not expected.all()
    assert (found == expected).mean() > 0.995


def test_slopes_toward_the_radar_are_bright_and_flat_ground_is_unchanged() -> None:
    incidence = np.full(50, 38, np.float32)
    assert radar.slope_gain(np.zeros((5, 50), np.float32), incidence, 10.0) == pytest.approx(1)
    ramp = np.tile(np.arange(50, dtype=np.float32) * 2, (5, 1))  # rises to the right, faces the radar on the left
    assert (radar.slope_gain(ramp, incidence, 10.0) > 1.2).all()
    assert (radar.slope_gain(-ramp, incidence, 10.0) < 0.9).all()


# --- images and truth ---------------------------------------------------------------------------------------------


def test_labels_truth_and_swath_agree(whole: SceneArrays) -> None:
    seen = np.isfinite(whole.after).all(axis=0)
    assert 0.02 < (~seen).mean() < 0.4
    np.testing.assert_array_equal(seen, whole.flood_truth != 255)
    np.testing.assert_array_equal(seen, whole.excluded_truth != 255)
    assert (whole.after_label[~seen] == -1).all()
    assert (np.isin(whole.flood_truth[whole.after_label == 1], (1, 2))).all()
    assert (whole.flood_truth[whole.after_label == 0] == 0).all()
    hidden = seen & (whole.after_label == -1)
    assert (whole.flood_truth[hidden] == 2).all() and (whole.hidden[hidden] > 0.5).all()
    before = np.isfinite(whole.before).all(axis=0)
    np.testing.assert_array_equal(whole.before_label == 1, before & (whole.reference_water == 1))
    assert np.isfinite(whole.before).any() and (before != seen).any()


def test_shadow_is_dark_and_is_no_water() -> None:
    a = simulate_scene(seed=2, width=1024, height=600, relief=2500, products="s1,truth")
    shadow = a.excluded_truth == 1
    assert shadow.sum() > 200
    inside = ndimage.binary_erosion(shadow)
    assert np.median(a.after[0][inside]) < -25
    assert (a.flood_truth[shadow] == 0).mean() > 0.9


def test_wind_brightens_vv_of_water_and_hardly_vh() -> None:
    calm = simulate_scene(seed=5, width=400, height=400, wind=0.0, products="s1,labels")
    rough = simulate_scene(seed=5, width=400, height=400, wind=0.9, products="s1,labels")
    water = ndimage.binary_erosion(calm.after_label == 1, iterations=2)
    change = [np.median(rough.after[k][water]) - np.median(calm.after[k][water]) for k in (0, 1)]
    assert change[0] > 6 and 1 < change[1] < 5
    land = calm.after_label == 0
    assert abs(np.median(rough.after[0][land]) - np.median(calm.after[0][land])) < 0.3


def test_calm_water_is_dark_and_far_from_land() -> None:
    a = simulate_scene(seed=5, width=512, height=512, wind=0, products="s1,labels")
    water, land = ndimage.binary_erosion(a.after_label == 1, iterations=2), a.after_label == 0
    for k, expected in ((0, -20.9), (1, -29.4)):  # speckle puts the median of dB 0.3 under the mean power
        assert np.median(a.after[k][water]) == pytest.approx(expected, abs=1.0)
        assert np.median(a.after[k][land]) - np.median(a.after[k][water]) > 9


def test_clouds_cover_the_share_asked_for() -> None:
    for share in (0.0, 0.3):
        a = simulate_scene(seed=1, width=512, height=512, clouds=share, products="s2")
        # Clouds are bright in blue and green; the dune field is the only other thing that is.
        assert abs((a.optical[1] > 3300).mean() - share) < 0.05


def test_spectra_tell_water_from_plants_and_values_are_valid(whole: SceneArrays) -> None:
    clear = simulate_scene(seed=7, width=512, height=512, products="s2,landcover,labels")
    assert clear.optical.dtype == np.uint16 and clear.optical.shape == (12, 512, 512) and clear.optical.min() >= 1
    red, nir, green = (clear.optical[k].astype(float) for k in (3, 7, 2))
    ndvi, ndwi = (nir - red) / (nir + red), (green - nir) / (green + nir)
    forest = ndimage.binary_erosion((clear.landcover == 10) & (clear.after_label == 0), iterations=2)
    water = ndimage.binary_erosion((clear.landcover == 80), iterations=2)
    assert np.median(ndvi[forest]) > 0.6 and np.median(ndwi[water]) > 0.2
    assert set(np.unique(whole.landcover)) <= {10, 20, 30, 40, 50, 60, 80, 90}


def test_classic_false_alarms_are_there() -> None:
    a = simulate_scene(seed=0, width=1024, height=1024, products="s1,landcover,labels")
    sand = ndimage.binary_erosion((a.landcover == 60) & (a.after_label == 0), iterations=3)
    assert sand.sum() > 300
    assert np.median(a.after[0][sand]) < -15 and np.median(a.after[1][sand]) < -24


def test_medians_and_spreads_are_those_of_real_chips() -> None:
    rasterio = pytest.importorskip("rasterio")
    chips = sorted(SHARED.glob("*/*_S1.tif"))
    if not chips:
        pytest.skip("the shared flood chips are not beside the checkout")
    real: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for chip in chips:
        with rasterio.open(chip) as image, rasterio.open(str(chip).replace("_S1", "_label")) as truth:
            values, label = image.read(), truth.read(1)
        for code in (0, 1):
            for k in (0, 1):
                inside = values[k][(label == code) & np.isfinite(values[k])]
                if len(inside) > 10_000:
                    real.setdefault((code, k), []).append((float(np.median(inside)), float(inside.std())))
    for seed in (0, 5):
        a = simulate_scene(seed=seed, width=1024, height=1024, products="s1,labels")
        for (code, k), found in real.items():
            values = a.after[k][a.after_label == code]
            medians, spreads = zip(*found, strict=True)
            assert min(medians) - 1 <= np.median(values) <= max(medians) + 1
            assert min(spreads) - 0.5 <= values.std() <= max(spreads) + 0.5


# --- what is asked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crs", "step"),
    [
        ("EPSG:32633", 10.0),
        ("EPSG:32755", 10.0),
        ("EPSG:3857", 10.0),
        ("EPSG:4326", 10 / 111_319.49),
        ("EPSG:2263", 10 / 0.3048006),
    ],
)
def test_grids_in_any_crs_have_the_gsd_and_lie_where_the_crs_is_used(crs: str, step: float) -> None:
    grid = SimulatedScene(SceneSettings(width=64, height=80, crs=crs)).grid
    assert grid.shape == (80, 64)
    assert grid.transform.a == pytest.approx(step, rel=1e-6) and grid.transform.e == pytest.approx(-step, rel=1e-6)
    assert grid.transform.b == grid.transform.d == 0
    assert grid.crs is not None and grid.crs.to_string() == crs


def test_an_unknown_crs_is_refused_with_its_name() -> None:
    with pytest.raises(GridError, match="EPSG:999999"):
        simulate_scene(crs="EPSG:999999")


@pytest.mark.parametrize(
    "fault",
    [
        {"width": 10},
        {"clouds": 1.0},
        {"looks": 0.5},
        {"products": "s1,radar"},
        {"products": " "},
        {"observed_at": "yesterday"},
        {"before_observed_at": "2022-01-01"},
        {"colour": "blue"},
        {"seed": -1},
    ],
)
def test_wrong_settings_are_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SceneRequest(out="x", **fault)  # type: ignore[arg-type]


def test_the_smallest_scene_works() -> None:
    a = simulate_scene(seed=1, width=64, height=64)
    assert a.after.shape == (2, 64, 64) and np.isfinite(a.after).all() and (a.flood_truth == 1).any()


def test_a_window_outside_the_scene_is_refused(scene: SimulatedScene) -> None:
    with pytest.raises(ValueError, match="inside"):
        scene.window(Window(600, 0, 40, 10))
