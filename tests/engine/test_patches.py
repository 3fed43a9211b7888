"""The minimum mapping unit over strips against a plain reference on the whole map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from engine.mapping.landcover.patches import StripPatches

EIGHT = np.ones((3, 3), bool)


class Areas:
    """Areas of a strip's pixels that were made up."""

    def __init__(self, areas: np.ndarray, shape: tuple[int, int]) -> None:
        self._areas = np.broadcast_to(areas, shape)
        self.least = float(self._areas.min())

    def at(self, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
        return self._areas[rows, cols.astype(int)]


def sieve(codes: np.ndarray, *, min_area: float, height: int, side=(10.0, 10.0), areas=None) -> np.ndarray:
    """The map by strips of ``height`` rows."""
    areas = np.full((1, 1), side[0] * side[1]) if areas is None else areas
    patches = StripPatches(side_m=side, min_area=min_area)
    starts = range(0, len(codes), height)
    for row in starts:
        strip = codes[row : row + height]
        patches.add(strip, Areas(areas if len(areas) == 1 else areas[row : row + height], strip.shape))
    settled = patches.resolve()
    return np.concatenate([settled.apply(i, codes[row : row + height])[0] for i, row in enumerate(starts)])


def reference(codes: np.ndarray, *, min_area: float, side=(10.0, 10.0), areas=None) -> np.ndarray:
    """The rule as the module states it, pixel by pixel."""
    areas = np.broadcast_to(np.full((1, 1), side[0] * side[1]) if areas is None else areas, codes.shape)
    label = np.zeros(codes.shape, int)
    code_of: dict[int, int] = {}
    for code in np.unique(codes):
        found, count = ndimage.label(codes == code, structure=EIGHT)
        for number in range(1, count + 1):
            code_of[len(code_of) + 1] = int(code)
            label[found == number] = len(code_of)
    area = {n: float(areas[label == n].sum()) for n in code_of}
    border: dict[tuple[int, int], float] = {}
    rows, cols = codes.shape
    for i in range(rows):
        for j in range(cols):
            for di, dj, length in ((1, 0, side[1]), (0, 1, side[0])):
                if i + di < rows and j + dj < cols and label[i, j] != label[i + di, j + dj]:
                    a, b = label[i, j], label[i + di, j + dj]
                    for pair in ((a, b), (b, a)):
                        border[pair] = border.get(pair, 0.0) + length
    none = (0, 255)
    final = dict(code_of)
    waiting = {n for n in code_of if code_of[n] not in none and area[n] < min_area * (1 - 1e-9)}
    while waiting:
        found = {}
        for n in waiting:
            lengths: dict[int, float] = {}
            for (a, b), length in border.items():
                if a == n and b not in waiting and code_of[b] not in none:
                    lengths[final[b]] = lengths.get(final[b], 0.0) + length
            if lengths:
                found[n] = min(lengths, key=lambda c: (-lengths[c], c))
        if not found:
            break
        final |= found
        waiting -= set(found)
    return np.vectorize(final.get)(label).astype(np.uint8)


@st.composite
def maps(draw):
    rows, cols = draw(st.integers(1, 14)), draw(st.integers(1, 12))
    seed = draw(st.integers(0, 2**32 - 1))
    generator = np.random.default_rng(seed)
    codes = generator.choice(
        np.array(draw(st.sampled_from([[10, 20], [0, 10, 20, 255], [10, 20, 30, 40, 0]]))), (rows, cols)
    )
    if draw(st.booleans()):  # larger patches
        codes = np.kron(codes, np.ones((2, 3), int))[:rows, :cols]
    return codes.astype(np.uint8)


@settings(max_examples=120, deadline=None)
@given(maps(), st.integers(1, 15), st.floats(0, 1500), st.sampled_from([(10.0, 10.0), (9.0, 14.0)]))
def test_strips_give_what_the_whole_map_gives(codes, height, min_area, side):
    expected = reference(codes, min_area=min_area, side=side)
    assert np.array_equal(sieve(codes, min_area=min_area, height=height, side=side), expected)


@settings(max_examples=30, deadline=None)
@given(maps(), st.integers(1, 15), st.integers(1, 15))
def test_areas_by_row_and_any_cut(codes, one, other):
    areas = np.linspace(50, 150, len(codes))[:, None]
    first = sieve(codes, min_area=600, height=one, areas=areas)
    assert np.array_equal(first, reference(codes, min_area=600, areas=areas))
    assert np.array_equal(first, sieve(codes, min_area=600, height=other, areas=areas))


@settings(max_examples=40, deadline=None)
@given(maps(), st.floats(0, 3000))
def test_unknown_and_not_observed_stay(codes, min_area):
    after = sieve(codes, min_area=min_area, height=4)
    for code in (0, 255):
        assert np.array_equal(after == code, codes == code)


def test_a_patch_goes_to_the_class_with_the_longest_border():
    codes = np.full((9, 9), 10, np.uint8)
    codes[:, 5:] = 20
    codes[3:5, 4] = 30  # two pixels: sides to 10: up, down and two left; to 20: two right
    assert np.array_equal(sieve(codes, min_area=300, height=2)[3:5, 4], [10, 10])
    assert np.array_equal(sieve(codes, min_area=200, height=2), codes), "a patch of exactly the unit stays"


def test_a_patch_that_borders_nothing_but_unknown_stays():
    codes = np.zeros((7, 7), np.uint8)
    codes[3, 3] = 40
    assert np.array_equal(sieve(codes, min_area=1e6, height=3), codes)


@pytest.mark.parametrize("height", [1, 3, 16])
def test_diagonal_neighbours_are_one_patch(height):
    codes = np.full((16, 16), 30, np.uint8)
    np.fill_diagonal(codes, 80)
    assert np.array_equal(sieve(codes, min_area=1600, height=height), codes)
    assert (sieve(codes, min_area=1601, height=height) == 30).all()


@pytest.mark.parametrize("height", [1, 5, 60])
def test_a_long_tail_belongs_to_what_it_hangs_on(height):
    """Far from the rectangle that is large enough, along more runs than are followed one by one."""
    codes = np.full((60, 40), 10, np.uint8)
    codes[:12, :12] = 20
    codes[12:50, 3] = 20  # hangs on the square
    codes[12:50, 30] = 20  # hangs on nothing
    codes[np.arange(12, 50), np.arange(12, 50) // 2 + 10] = 30  # steps, slanting
    after = sieve(codes, min_area=6000, height=height)
    assert (after[12:50, 3] == 20).all() and (after[12:50, 30] == 10).all() and not (after == 30).any()
    assert np.array_equal(after, reference(codes, min_area=6000))


@pytest.mark.parametrize("min_area", [300, 1000, 1050, 5000])
def test_larger_maps_of_blotches(min_area):
    generator = np.random.default_rng(min_area)
    rough = np.kron(generator.integers(0, 4, (12, 10)), np.ones((7, 8), int))
    codes = np.array([0, 10, 20, 255], np.uint8)[np.where(generator.random(rough.shape) < 0.25, 2, rough)]
    codes[generator.random(codes.shape) < 0.05] = 30
    expected = reference(codes, min_area=min_area)
    assert not np.array_equal(expected, codes)
    for height in (9, 84):
        assert np.array_equal(sieve(codes, min_area=min_area, height=height), expected)
