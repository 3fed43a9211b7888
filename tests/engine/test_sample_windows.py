"""Windows that stand for a whole grid: spread over it, each in one block of the file where that can be."""

from __future__ import annotations

import numpy as np
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.mapping.scene.sampling import sample_windows
from engine.raster.grid import Grid


@given(
    shape=st.tuples(st.integers(1, 400), st.integers(1, 400)),
    size=st.integers(1, 40),
    along=st.integers(1, 5),
    block=st.tuples(st.integers(1, 70), st.integers(1, 70)),
)
@settings(max_examples=200, deadline=None)
def test_windows_lie_in_one_block_or_cover_the_grid(shape, size, along, block):
    grid = Grid(*shape, Affine.identity(), None)
    windows = sample_windows(grid, size=size, along=along, block=block)
    assert 1 <= len(windows) <= along**2
    seen = np.zeros(shape, bool)
    for window in windows:
        assert not window.empty
        seen[window.within(grid.window)] = True
        for start, stop, whole, length in (
            (window.row, window.row_stop, block[0], shape[0]),
            (window.col, window.col_stop, block[1], shape[1]),
        ):
            if size <= whole and along * size < length:
                assert start // whole == (stop - 1) // whole
    for line, length in zip((seen.any(axis=1), seen.any(axis=0)), shape, strict=True):
        if along * size >= length:
            assert line.all()
        assert line[: max(1, length // along + 1)].any()


def test_without_blocks_they_begin_and_end_with_the_grid():
    windows = sample_windows(Grid(1000, 300, Affine.identity(), None), size=100, along=3)
    assert [(w.row, w.col) for w in windows] == [(r, c) for r in (0, 450, 900) for c in (0, 100, 200)]
