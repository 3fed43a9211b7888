"""Laws of the lattice of tiles and of the weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.mapping.tiles import Lattice, shares, window_function


@st.composite
def lattices(draw: st.DrawFn) -> Lattice:
    tile = draw(st.integers(1, 60))
    return Lattice(draw(st.integers(1, 300)), tile, draw(st.integers(1, tile)))


@given(lattices())
@settings(max_examples=150, deadline=None)
def test_tiles_cover_every_pixel_and_stay_inside(lattice: Lattice) -> None:
    covered = np.zeros(max(lattice.size, lattice.tile), int)
    for index in range(len(lattice)):
        start, stop = lattice.start(index), lattice.stop(index)
        assert stop - start == lattice.tile and start >= 0
        assert stop <= max(lattice.size, lattice.tile)
        covered[start:stop] += 1
    assert (covered > 0).all()
    starts = [lattice.start(index) for index in range(len(lattice))]
    assert starts == sorted(set(starts)), "no tile is done twice"


@given(lattices())
@settings(max_examples=150, deadline=None)
def test_weights_sum_to_one_at_every_pixel(lattice: Lattice) -> None:
    total = np.zeros(max(lattice.size, lattice.tile))
    count = np.zeros_like(total, dtype=int)
    all_shares = list(shares(lattice))
    for index, share in enumerate(all_shares):
        total[lattice.start(index) : lattice.stop(index)] += share.weights
        count[lattice.start(index) : lattice.stop(index)] += 1
    assert np.abs(total - 1).max() < 5e-7
    for index, share in enumerate(all_shares):
        here = count[lattice.start(index) : lattice.stop(index)]
        assert (share.weights > 0).all()
        assert (share.weights[here == 1] == 1).all(), "alone means copied, to the bit"
        alone = np.zeros(lattice.tile, bool)
        alone[share.earlier : max(share.earlier, share.later)] = True
        assert (alone == (here == 1)).all()


@given(lattices(), st.integers(0, 299), st.integers(1, 50))
@settings(max_examples=100, deadline=None)
def test_touching_is_what_brute_force_finds(lattice: Lattice, start: int, length: int) -> None:
    stop = min(start + length, lattice.size)
    if start >= stop:
        return
    wanted = [i for i in range(len(lattice)) if lattice.start(i) < stop and lattice.stop(i) > start]
    assert list(lattice.touching(start, stop)) == wanted


def test_no_overlap_means_no_fading() -> None:
    assert (window_function(8, 0) == 1).all()
    for share in shares(Lattice(32, 8, 8)):
        assert (share.weights == 1).all()


def test_the_edge_of_a_tile_counts_little() -> None:
    window = window_function(512, 64)
    assert window[0] < 0.001 and (window[64:448] == 1).all()
    assert np.allclose(window, window[::-1])


@pytest.mark.parametrize("bad", [(0, 4, 4), (9, 0, 1), (9, 4, 0), (9, 4, 5)])
def test_impossible_lattices_are_refused(bad: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError):
        Lattice(*bad)
