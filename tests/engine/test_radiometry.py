"""Unit detection and conversion of Sentinel-1 values."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.errors import UnitsError
from engine.sar.radiometry import detect_unit, to_db, to_power, unit_of_text
from engine.sensors import Unit

CHIPS = sorted((Path(__file__).resolve().parents[3] / "shared" / "data").glob("flood/*/*_S1.tif"))


def land(seed: int = 0, vv: float = -10.0, vh: float = -17.0, n: int = 4000) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"VV": rng.normal(vv, 2.5, n), "VH": rng.normal(vh, 2.5, n)}


def as_unit(db: dict[str, np.ndarray], unit: Unit) -> dict[str, np.ndarray]:
    divisor = {Unit.POWER: 10, Unit.AMPLITUDE: 20}
    return db if unit is Unit.DB else {p: 10 ** (v / divisor[unit]) for p, v in db.items()}


def detect(sample, *, names=("VV", "VH"), tags=None, dtype="float32", declared=None):
    return detect_unit(sample, names=names, tags=tags or {}, dtype=dtype, declared=declared, path="scene.tif")


@pytest.mark.parametrize("unit", [Unit.DB, Unit.POWER, Unit.AMPLITUDE])
def test_land_scene_without_metadata_is_told_by_its_values(unit):
    finding = detect(as_unit(land(), unit))
    assert finding.unit is unit
    assert "median" in finding.reason
    assert not finding.zero_is_fill


@pytest.mark.parametrize("declared", [Unit.DB, Unit.POWER, Unit.AMPLITUDE])
@pytest.mark.parametrize("actual", [Unit.DB, Unit.POWER, Unit.AMPLITUDE])
@pytest.mark.parametrize("by", ["option", "tag"])
def test_swapped_units_are_refused_and_right_ones_accepted(declared, actual, by):
    kwargs = {"declared": declared} if by == "option" else {"tags": {"UNITS": declared.value}}
    sample = as_unit(land(), actual)
    if declared is actual:
        assert detect(sample, **kwargs).unit is actual
        return
    with pytest.raises(UnitsError) as caught:
        detect(sample, **kwargs)
    assert "scene.tif" in caught.value.message
    assert "found VV: median" in caught.value.message
    assert declared.value in caught.value.message
    assert "--units" in caught.value.remedy


def test_dark_amplitude_that_could_be_bright_power_is_refused_until_stated():
    sea = as_unit(land(vv=-20, vh=-27), Unit.AMPLITUDE)
    with pytest.raises(UnitsError, match="power or amplitude"):
        detect(sea)
    assert detect(sea, declared=Unit.AMPLITUDE).unit is Unit.AMPLITUDE
    assert detect(sea, tags={"units": "amplitude"}).unit is Unit.AMPLITUDE
    assert detect(sea, names=("Amplitude_VV", "Amplitude_VH")).unit is Unit.AMPLITUDE
    assert detect(sea, names=("Sigma0_VV", "Sigma0_VH")).unit is Unit.POWER


def test_a_city_in_power_is_believed_when_declared():
    city = as_unit(land(vv=-3, vh=-9), Unit.POWER)
    assert detect(city, declared=Unit.POWER).unit is Unit.POWER


@pytest.mark.parametrize("declared", [None, Unit.DB, Unit.POWER, Unit.AMPLITUDE, Unit.DN])
def test_digital_numbers_are_refused_with_the_way_to_calibrate(declared):
    rng = np.random.default_rng(1)
    dn = {"VV": rng.gamma(4, 60, 2000).round() + 1, "VH": rng.gamma(4, 30, 2000).round() + 1}
    with pytest.raises(UnitsError, match="digital numbers") as caught:
        detect(dn, dtype="uint16", declared=declared)
    assert "Calibrate" in caught.value.remedy
    assert "uint16" in caught.value.message


def test_scaled_integers_without_a_scale_are_refused():
    with pytest.raises(UnitsError, match="no unit"):
        detect({pol: v * 100 for pol, v in land().items()}, dtype="int16")


def test_no_valid_value_is_no_error():
    empty = {"VV": np.full(50, np.nan), "VH": np.full(50, np.nan)}
    assert detect(empty).unit is Unit.DB
    assert "no valid value" in detect(empty).reason
    assert detect(empty, declared=Unit.POWER).unit is Unit.POWER
    assert detect(empty, tags={"UNITS": "linear power"}).unit is Unit.POWER
    assert detect({"VV": np.zeros(50)}).unit is Unit.DB


def test_an_absent_polarisation_does_not_count():
    sample = {"VV": np.full(4000, np.nan), "VH": land()["VH"]}
    assert detect(sample).unit is Unit.DB


def test_undeclared_zero_fill_is_told_and_kept_out_of_the_judgement():
    sample = {pol: np.where(np.arange(v.size) < 3500, 0.0, v) for pol, v in land().items()}
    finding = detect(sample)
    assert finding.unit is Unit.DB
    assert finding.zero_is_fill
    assert "0 counts as missing" in finding.reason
    assert not detect(sample, dtype="int16").zero_is_fill


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("dB", Unit.DB),
        ("dB (RTC gamma0)", Unit.DB),
        ("Sigma0_VV_db", Unit.DB),
        ("linear power", Unit.POWER),
        ("intensity", Unit.POWER),
        ("amplitude", Unit.AMPLITUDE),
        ("DN", Unit.DN),
        ("VV", None),
        ("", None),
    ],
)
def test_words_for_units(text, unit):
    assert unit_of_text(text) is unit


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=3, max_side=5),
        elements=st.floats(-60, 30, width=32) | st.just(float("nan")) | st.just(float("inf")),
    )
)
def test_power_and_back_keeps_values_and_holes(db):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        power = to_power(db)
        back = to_db(power, Unit.POWER)
        from_amplitude = to_db(np.sqrt(power), Unit.AMPLITUDE)
    assert power.dtype == back.dtype == np.float32
    assert power.shape == db.shape
    holes = ~np.isfinite(db)
    assert (np.isnan(power) == holes).all()
    np.testing.assert_allclose(back[~holes], db[~holes], atol=2e-4)
    np.testing.assert_allclose(from_amplitude[~holes], db[~holes], atol=2e-4)
    assert np.isnan(back[holes]).all()


def test_what_is_not_positive_has_no_decibel():
    values = np.array([0.0, -1e-6, np.nan, np.inf, -np.inf, 1.0, 0.01])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = to_db(values, Unit.POWER)
    np.testing.assert_array_equal(np.isnan(out), [True, True, True, True, True, False, False])
    np.testing.assert_allclose(out[-2:], [0, -20], atol=1e-5)
    with pytest.raises(UnitsError):
        to_db(values, Unit.DN)


@pytest.mark.skipif(not CHIPS, reason="the shared real data is not beside the checkout")
@pytest.mark.parametrize("path", CHIPS, ids=lambda p: p.stem)
def test_real_chips_are_decibel_and_their_power_is_power(path):
    import rasterio

    with rasterio.open(path) as source:
        values, tags = source.read(), source.tags()
    sample = {"VV": values[0, ::7, ::7], "VH": values[1, ::7, ::7]}
    assert detect(sample, tags=tags).unit is Unit.DB
    assert detect(sample).unit is Unit.DB
    power = {pol: to_power(v) for pol, v in sample.items()}
    assert detect(power, declared=Unit.POWER).unit is Unit.POWER
    with pytest.raises(UnitsError):
        detect(power, tags=tags)
    try:
        assert detect(power).unit is Unit.POWER
    except UnitsError as error:
        assert "not clear" in error.message  # never the wrong unit without a word


@settings(max_examples=150, deadline=None)
@given(
    st.floats(-20, -5),
    st.floats(5.5, 10),
    st.floats(0.5, 3.5),
    st.sampled_from([Unit.DB, Unit.POWER, Unit.AMPLITUDE]),
    st.sampled_from([("VV", "VH"), ("VV",), ("VH",)]),
)
def test_never_a_wrong_unit_without_a_word(vv, difference, spread, unit, pols):
    rng = np.random.default_rng(0)
    z = rng.normal(0, spread, 500)
    db = {"VV": vv + z, "VH": vv - difference + z}
    sample = as_unit({pol: db[pol] for pol in pols}, unit)
    try:
        assert detect(sample, names=pols).unit is unit
    except UnitsError as error:
        assert "not clear" in error.message
    assert detect(sample, names=pols, declared=unit).unit is unit
