"""Retrieval figures: against a slow reference, and against the ways in which tools flatter themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import ModelError
from engine.metrics.retrieval import cosine_ranks, one_percent, place_similarity, ranks_of_scores, recall_at


def slow_ranks(queries, gallery, partners):
    """One pair at a time: those that are as near as the partner, or nearer, stand before it."""
    ranks = []
    for query, right in zip(queries, partners, strict=True):
        scores = [query @ item / (np.linalg.norm(query) * np.linalg.norm(item)) for item in gallery]
        ranks.append(1 + sum(s >= scores[right] - 1e-6 for j, s in enumerate(scores) if j != right))
    return ranks


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 12), st.integers(1, 9), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_ranks_equal_a_loop_over_pairs(queries, gallery, dimensions, seed):
    draw = np.random.default_rng(seed)
    # Few different values, so that ties occur; no row of zeros.
    a = draw.integers(1, 3, (queries, dimensions)).astype(float)
    b = draw.integers(1, 3, (gallery, dimensions)).astype(float)
    partners = draw.integers(0, gallery, queries)
    found = cosine_ranks(a, b, partners)
    assert found.tolist() == slow_ranks(a, b, partners)
    assert found.min() >= 1 and found.max() <= gallery


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_chunks_change_nothing(chunk):
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(50, 8)).astype(np.float32), draw.normal(size=(70, 8)).astype(np.float32)
    b[10:20] = b[:10]
    partners = draw.integers(0, 70, 50)
    assert (cosine_ranks(a, b, partners, chunk=chunk) == cosine_ranks(a, b, partners)).all()


def test_the_partner_of_a_row_is_the_row_of_its_number():
    draw = np.random.default_rng(1)
    a = draw.normal(size=(30, 16))
    ranks = cosine_ranks(a, 3 * a + 0.01 * draw.normal(size=a.shape))
    assert (ranks == 1).all() and recall_at(ranks, 1) == 1.0


@pytest.mark.parametrize("constant", [0.0, 1.0, -2.5])
def test_a_model_that_says_always_the_same_finds_nothing(constant):
    """Chance at most, and not 100 %, as a sort that keeps the order would have it."""
    same = np.full((20, 4), constant)
    ranks = cosine_ranks(same, same)
    assert (ranks == 20).all()
    assert recall_at(ranks, 1) == 0.0 and recall_at(ranks, 20) == 1.0


def test_duplicates_of_the_partner_count_against_even_in_float32():
    draw = np.random.default_rng(2)
    a = draw.normal(size=(64, 128)).astype(np.float32)
    ranks = cosine_ranks(a, np.concatenate([a, a, a]))
    assert (ranks >= 3).all()


def test_random_embeddings_give_chance():
    draw = np.random.default_rng(3)
    ranks = cosine_ranks(draw.normal(size=(4000, 8)), draw.normal(size=(20, 8)), draw.integers(0, 20, 4000))
    assert recall_at(ranks, 1) == pytest.approx(1 / 20, abs=0.015)
    assert recall_at(ranks, 5) == pytest.approx(5 / 20, abs=0.03)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_an_error_that_says_where(bad):
    good, broken = np.ones((5, 3)), np.ones((5, 3))
    broken[2, 1] = bad
    with pytest.raises(ModelError, match="query 2 is not finite"):
        cosine_ranks(broken, good)
    with pytest.raises(ModelError, match="gallery item 2 is not finite"):
        cosine_ranks(good, broken)
    with pytest.raises(ModelError, match="similarity"):
        ranks_of_scores(broken, [0] * 5)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="do not fit"):
        cosine_ranks(np.ones((3, 2)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="Partners reach"):
        cosine_ranks(np.ones((3, 2)), np.ones((2, 2)))
    with pytest.raises(ValueError, match="table"):
        cosine_ranks(np.ones(3), np.ones((3, 1)))


def test_recall_and_one_percent():
    assert recall_at([1, 2, 5, 10], 1) == 0.25 and recall_at([1, 2, 5, 10], 5) == 0.75
    assert recall_at([], 1) is None
    assert [one_percent(n) for n in (1, 99, 100, 101, 200, 201)] == [1, 1, 1, 2, 2, 3]


def slow_places(a, b, a_valid, b_valid):
    """One pair and one place at a time."""
    scores = np.full((len(a), len(b)), -1.0)
    for i, j in np.ndindex(scores.shape):
        cosines = []
        for y, x in np.ndindex(a.shape[2:]):
            if a_valid[i, y, x] and b_valid[j, y, x]:
                one, two = a[i, :, y, x], b[j, :, y, x]
                length = np.linalg.norm(one) * np.linalg.norm(two)
                cosines.append(one @ two / length if length > 0 else 0.0)
        if cosines:
            scores[i, j] = np.mean(cosines)
    return scores


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_place_similarity_equals_a_loop_over_places(queries, gallery, dimensions, side, seed):
    draw = np.random.default_rng(seed)
    a, b = (draw.integers(-1, 3, (n, dimensions, side, side + 1)).astype(float) for n in (queries, gallery))
    a_valid, b_valid = (draw.random((n, side, side + 1)) > 0.4 for n in (queries, gallery))
    expected = slow_places(a, b, a_valid, b_valid)
    a.transpose(0, 2, 3, 1)[~a_valid] = np.nan  # what is not valid may hold anything
    for chunk in (1, 2, 100):
        np.testing.assert_allclose(place_similarity(a, b, a_valid, b_valid, chunk=chunk), expected, atol=1e-12)
    np.testing.assert_allclose(place_similarity(b, b), slow_places(b, b, *[np.ones_like(b_valid)] * 2), atol=1e-12)


def test_layout_tells_apart_what_pooling_cannot():
    """Patches of the same embeddings in another order: equal when pooled, found by their places."""
    draw = np.random.default_rng(2)
    cells = draw.normal(size=(8, 16))
    maps = np.stack([draw.permutation(cells).T.reshape(16, 2, 4) for _ in range(10)])
    assert recall_at(cosine_ranks(maps.mean((2, 3)), maps.mean((2, 3))), 1) == 0.0
    scores = place_similarity(maps, maps)
    assert (ranks_of_scores(scores, np.arange(10)) == 1).all()
    np.testing.assert_allclose(scores.diagonal(), 1.0)
    np.testing.assert_allclose(scores, scores.T)


def test_place_similarity_says_what_does_not_fit():
    maps = np.ones((2, 3, 4, 4))
    with pytest.raises(ValueError, match="do not fit"):
        place_similarity(maps, np.ones((2, 3, 2, 2)))
    with pytest.raises(ValueError, match="mask"):
        place_similarity(maps, maps, np.ones((2, 4, 3), bool))
    with pytest.raises(ValueError, match="N, D, h, w"):
        place_similarity(maps[0], maps)
    maps[1, 0, 2, 2] = np.nan
    with pytest.raises(ModelError, match="query place 26 is not finite"):
        place_similarity(maps, np.ones((2, 3, 4, 4)))
