"""The arithmetic of vector search: the same as the whole matrix, whatever is asked together, ties by number."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine.crossview.cells import CellLayout
from engine.crossview.describer import VectorQuery
from engine.crossview.headings import likeliest
from engine.crossview.index.card import CELL_DTYPE, ImageryFacts, IndexCard, LayerFacts, ShardFacts
from engine.crossview.index.reader import CellIndex
from engine.crossview.index.writer import IndexWriter
from engine.crossview.search import products as products_module
from engine.crossview.search.exact import all_scores, own_scores, scores_at, top_cells
from engine.crossview.search.products import Products, tensor_of
from engine.crossview.search.structures import propose
from engine.errors import ModelError
from engine.events import Reporter

DIM, CELLS = 24, 2600


class Linear:
    """What the search asks of a describer whose score is an inner product."""

    layer, linear = "learned", True


def queries_of(rng, kinds):
    """A query a kind: so many vectors, with headings ("even": round the circle) or without."""
    return [
        VectorQuery(
            rng.standard_normal((count, DIM)).astype(np.float32),
            None
            if not headed
            else (rng.uniform(0, 360, count) if headed is True else 7 + 360 * np.arange(count) / count).astype("f4"),
        )
        for count, headed in kinds
    ]


def by_hand(codes, query):
    """Scores and headings of (N, scales, dim), the plain way in double precision."""
    table = np.einsum("nsd,vd->nsv", codes.astype(np.float64), query.vectors.astype(np.float64))
    table = table[np.arange(len(codes)), table.max(axis=2).argmax(axis=1)]
    if query.headings is None:
        return table.max(axis=1), np.full(len(codes), np.nan)
    best, turned = likeliest(torch.from_numpy(table), torch.from_numpy(query.headings).double())
    return best.numpy(), turned.numpy()


@pytest.fixture(scope="module", params=[1, 3], ids=["one scale", "three scales"])
def index(tmp_path_factory, request):
    """An index of three shards whose descriptions are drawn, half of them twice."""
    rng = np.random.default_rng(request.param)
    folder = tmp_path_factory.mktemp("vectors") / "index"
    scales = tuple(float(s + 1) for s in range(request.param))
    facts = LayerFacts(
        name="learned", model=None, side=8, scales_m=scales, dim=DIM, dtype="float16", linear=True
    )  # fmt: skip
    codes = rng.standard_normal((CELLS, len(scales), DIM)).astype(np.float16)
    codes[1::2] = codes[::2]
    with IndexWriter(folder, {}, (facts,), shard_cells=1000) as writer:
        for start in range(0, CELLS, 500):
            part = codes[start : start + 500]
            table = np.zeros(len(part), CELL_DTYPE)
            table["id"] = CellLayout(30.0).ids_at(np.array([9.0]), np.array([48.0]))[0] + start + np.arange(len(part))
            writer.add((start, 0), table, 0, {"learned": part})
        shards = tuple(ShardFacts(cells=n, imagery=0, files=files) for n, files in writer.shard_files())
        assert len(shards) == 3
        imagery = ImageryFacts(
            path="x", sha256=None, crs="EPSG:4326", gsd_m=1, imagery_date=None, attribution=None, stretch=(0, 255)
        )
        card = IndexCard(
            engine_version="0", method="x", cell_m=30, cells=CELLS, gaps=0, extent=(0, 0, 1, 1), regions=("x",),
            layers=(facts,), imagery=(imagery,), shards=shards, created="", updated="",
        )  # fmt: skip
        writer.commit(card)
    return CellIndex(folder), codes


@pytest.mark.parametrize("kinds", [[(1, False)], [(1, True), (16, "even")], [(1, False), (5, True), (3, False)]])
@pytest.mark.parametrize("block", [1 << 12, 1 << 21])
def test_scores_and_headings_are_those_of_the_whole_matrix(index, kinds, block, monkeypatch):
    monkeypatch.setattr(products_module, "_BLOCK_BYTES", block)
    found, codes = index
    queries = queries_of(np.random.default_rng(5), kinds)
    every = all_scores(found, Linear(), queries, Reporter())
    assert every.headings is None, "they are told of the cells that are returned"
    rng = np.random.default_rng(6)
    some = [np.sort(rng.choice(CELLS, n, replace=False)) for n in (700, 1, 2300)][: len(kinds)]
    apart = own_scores(found, "learned", queries, some)
    same = scores_at(found, "learned", queries, some[0])
    for k, query in enumerate(queries):
        scores, turned = by_hand(codes, query)
        assert np.abs(every.scores[k] - scores).max() < 2e-5
        assert np.abs(apart[k][0] - scores[some[k]]).max() < 2e-5
        # Headings whose products are the same but for rounding may stand for each other: none are here.
        apart_deg = (apart[k][1] - turned[some[k]] + 180) % 360 - 180
        assert np.isnan(apart_deg).all() if query.headings is None else np.abs(apart_deg).max() < 0.05
        assert np.abs(same[k] - scores[some[0]]).max() < 2e-5


def test_no_cells_and_no_order_are_fine(index):
    found, codes = index
    query = queries_of(np.random.default_rng(5), [(1, False)])
    assert len(own_scores(found, "learned", query, [np.zeros(0, np.int64)])[0][0]) == 0
    anyhow = np.array([2500, 3, 1200, 3])
    assert np.array_equal(found.take("learned", anyhow), codes[anyhow])
    assert np.allclose(own_scores(found, "learned", query, [anyhow])[0][0], by_hand(codes, query[0])[0][anyhow])


def test_a_score_that_is_no_number_is_an_error_however_few_cells_it_has(index):
    found, codes = index
    broken = [*queries_of(np.random.default_rng(5), [(1, False)]), VectorQuery(np.full((1, DIM), np.nan, "f4"), None)]
    some = np.arange(5)
    for ask in (
        lambda: all_scores(found, Linear(), broken, Reporter()),
        lambda: own_scores(found, "learned", broken, [some, some]),
        lambda: scores_at(found, "learned", broken, some),
    ):
        with pytest.raises(ModelError, match="not a finite number"):
            ask()
    # One description of one cell, in the last block.
    damaged = torch.from_numpy(codes.copy())
    damaged[-1, 0, 3] = torch.nan
    out = np.empty((1, CELLS), np.float32)
    for kinds in ([(1, False)], [(4, True)]):
        query = queries_of(np.random.default_rng(5), kinds)
        Products(query, scales=codes.shape[1], dim=DIM).fill(damaged, out)
        assert np.isnan(out[0, -1]) and np.isfinite(out[0, :-1]).all()


def test_what_is_read_only_is_shared_or_copied_and_says_nothing(index, recwarn):
    found, codes = index
    shard = found.shard("learned", 1)
    assert not shard.flags.writeable
    assert np.array_equal(tensor_of(shard).numpy(), codes[1000:2000]) and not recwarn.list


@given(
    st.integers(1, 9000),
    st.integers(1, 700),
    st.sampled_from(["ties", "constant", "falling", "rising", "drawn", "last"]),
    st.integers(0, 9),
)
def test_the_best_are_those_of_a_full_sort_and_of_equals_the_lower_numbers(count, k, kind, seed):
    rng = np.random.default_rng(seed)
    scores = {
        "ties": lambda: rng.integers(0, 12, count),
        "constant": lambda: np.zeros(count),
        "falling": lambda: -np.arange(count),
        "rising": lambda: np.arange(count),
        "drawn": lambda: rng.standard_normal(count),
        "last": lambda: np.arange(count) >= count - k,
    }[kind]().astype(np.float32)
    assert np.array_equal(top_cells(scores, k), np.argsort(-scores, kind="stable")[:k])


class Rows:
    """A structure that answers what it was given."""

    def __init__(self, rows, total):
        self._rows, self.ntotal = rows, total

    def search(self, vectors, k):
        assert len(vectors) == len(self._rows)
        return None, self._rows[:, :k]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(1, 3), st.booleans(), st.integers(0, 99))
def test_proposals_are_each_photos_own_cells_once_in_order(counts, scales, missing, seed):
    rng = np.random.default_rng(seed)
    total = 30 * scales
    rows = np.stack([rng.choice(total, 12, replace=False) for _ in range(sum(counts))])
    if missing:  # faiss says -1 where it found fewer
        rows[rng.random(rows.shape) < 0.3] = -1
    queries = [np.zeros((count, DIM), np.float32) for count in counts]
    found = propose(Rows(rows, total), queries, 12, scales)
    start = 0
    for count, cells in zip(counts, found, strict=True):
        own = rows[start : start + count].ravel()
        assert cells.tolist() == sorted({int(r) // scales for r in own if r >= 0})
        start += count
