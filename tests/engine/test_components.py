"""Components found strip by strip are those of the whole mask, however it is cut."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from engine.mapping.flood.components import StripComponents

shapes = st.tuples(st.integers(1, 14), st.integers(1, 14))


def whole(mask: np.ndarray, seeds: np.ndarray, areas: np.ndarray, min_area: float) -> np.ndarray:
    """Brute force: label everything at once and test each component alone."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    out = np.zeros(mask.shape, bool)
    for label in range(1, count + 1):
        body = labels == label
        if (seeds & body).any() and areas[body].sum() >= min_area:
            out |= body
    return out


@settings(max_examples=200, deadline=None)
@given(
    data=st.data(), shape=shapes, cuts=st.lists(st.integers(1, 5), min_size=1, max_size=14), min_area=st.integers(0, 20)
)
def test_any_cut_gives_the_components_of_the_whole(data, shape, cuts, min_area):
    mask = data.draw(hnp.arrays(bool, shape))
    seeds = data.draw(hnp.arrays(bool, shape))
    areas = data.draw(hnp.arrays(np.float64, (shape[0], 1), elements=st.integers(1, 3).map(float)))
    strips = StripComponents()
    edges, row = [], 0
    for index in range(shape[0]):
        if row >= shape[0]:
            break
        height = min(cuts[index % len(cuts)], shape[0] - row)
        edges.append(slice(row, row + height))
        row += height
    for edge in edges:
        strips.add(mask[edge], seeds[edge], areas[edge])
    kept = strips.resolve(min_area=min_area)
    found = np.concatenate([kept.select(i, mask[edge]) for i, edge in enumerate(edges)])
    np.testing.assert_array_equal(found, whole(mask, seeds, np.broadcast_to(areas, shape), min_area))


def test_a_body_over_many_strips_counts_its_whole_area():
    mask = np.zeros((100, 3), bool)
    mask[:, 1] = True
    seeds = np.zeros_like(mask)
    seeds[99, 1] = True
    strips = StripComponents()
    for row in range(100):
        strips.add(mask[row : row + 1], seeds[row : row + 1], np.ones((1, 1)))
    assert strips.resolve(min_area=100).select(0, mask[:1]).any()
    assert not strips.resolve(min_area=101).select(0, mask[:1]).any()


def test_an_empty_mask_keeps_nothing():
    strips = StripComponents()
    empty = np.zeros((4, 5), bool)
    strips.add(empty, empty, np.ones((1, 1)))
    assert not strips.resolve(min_area=0).select(0, empty).any()
