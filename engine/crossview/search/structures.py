"""Approximate structures for large indexes, by faiss: HNSW graphs and inverted lists of product-quantised codes.

They only propose: what they find is scored exactly afterwards. They are not used where torch and faiss cannot live in
one process (macOS) or faiss is absent; then the search is exact, which gives the same answers more slowly.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.crossview.index.card import damaged
from engine.crossview.index.reader import CellIndex
from engine.errors import MissingExtraError
from engine.events import Reporter

Kind = Literal["exact", "hnsw", "ivfpq"]
EXACT_ROWS = 1_000_000
"""Up to so many descriptions the exact product takes a tenth of a second a photo, once the index is in the system's
file cache: measured by scripts/bench/retrieval."""
HNSW_ROWS = 8_000_000
"""Up to so many an HNSW graph (the vectors and 272 bytes a description) fits the memory of a workstation."""
LINKS, BUILD_BEAM, SEARCH_BEAM = 32, 80, 256
_TRAIN = 200_000
_ADD = 50_000


@dataclass(frozen=True)
class Choice:
    """``kind`` of search and ``why``, for people."""

    kind: Kind
    why: str


def choose(rows: int, asked: str = "auto", *, linear: bool = True) -> Choice:
    """The kind of search for ``rows`` descriptions. Raises MissingExtraError where an approximate one was asked for and
    cannot be had here."""
    usable = faiss_usable()
    if not linear:
        return Choice("exact", "the method compares by turning views, which has no approximate structure")
    if asked in ("hnsw", "ivfpq"):
        if usable is not None:
            raise MissingExtraError(f"The search {asked} cannot be used here: {usable}.", remedy="Use --search exact.")
        return Choice("hnsw" if asked == "hnsw" else "ivfpq", "as asked")
    if asked == "exact":
        return Choice("exact", "as asked")
    if rows <= EXACT_ROWS:
        return Choice("exact", f"{rows} descriptions, at most {EXACT_ROWS}: exact is fast enough")
    if usable is not None:
        return Choice("exact", f"{usable}: exact, though {rows} descriptions are many")
    if rows <= HNSW_ROWS:
        return Choice("hnsw", f"{rows} descriptions, more than {EXACT_ROWS}")
    return Choice("ivfpq", f"{rows} descriptions, more than {HNSW_ROWS}")


def faiss_usable(platform: str = sys.platform) -> str | None:
    """None where faiss may be used in this process, else why not."""
    if platform == "darwin":
        return "faiss and torch cannot be loaded into one process on macOS"
    return None if importlib.util.find_spec("faiss") is not None else "faiss is not installed"


def parts_of(dim: int) -> int:
    """Bytes of a product-quantised description: one for about four numbers, a divisor of ``dim``, 64 at most."""
    return max(m for m in range(1, 65) if dim % m == 0 and m <= max(1, dim // 4))


def empty_structure(kind: Kind, dim: int, rows: int) -> Any:
    """A faiss index for inner products, to be trained (ivfpq) and filled."""
    import faiss

    if kind == "hnsw":
        graph = faiss.IndexHNSWFlat(dim, LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction, graph.hnsw.efSearch = BUILD_BEAM, SEARCH_BEAM
        return graph
    lists = int(2 ** round(math.log2(max(16, 4 * math.sqrt(rows)))))
    coarse: Any = faiss.IndexFlatIP(dim)
    made: Any = faiss.IndexIVFPQ(
        coarse, dim, min(lists, max(1, rows // 39)), parts_of(dim), 8, faiss.METRIC_INNER_PRODUCT
    )
    made.own_fields = True
    coarse.this.disown()
    for clustering in (made.cp, made.pq.cp):
        clustering.min_points_per_centroid = 1  # else it writes to stderr for small indexes
    made.nprobe = max(8, made.nlist // 32)
    return made


def build_structure(index: CellIndex, layer: str, kind: Kind, path: Path, reporter: Reporter) -> None:
    """Fill a structure with all descriptions of ``layer`` and write it to ``path``. Rows are cell by cell, scale by
    scale."""
    import faiss

    facts = index.layer(layer)
    scales = len(facts.scales_m)
    rows = index.cells * scales
    made = empty_structure(kind, facts.dim, rows)
    if kind == "ivfpq":
        some = np.unique(np.linspace(0, index.cells - 1, max(1, min(index.cells, _TRAIN // scales))).astype(np.int64))
        made.train(_rows(index.take(layer, some)))
    for first, codes in index.shards(layer):
        for start in range(0, len(codes), _ADD // scales + 1):
            made.add(_rows(codes[start : start + _ADD // scales + 1]))
            reporter.progress((first + start) / index.cells, "structure", f"{kind}: {first + start} cells")
    faiss.write_index(made, str(path))


def load_structure(path: Path, kind: Kind, rows: int) -> Any:
    """The structure in a file whose digest was checked. Raises DamagedFileError where it does not have ``rows``."""
    import faiss

    try:
        found: Any = faiss.read_index(str(path))
    except RuntimeError as error:
        raise damaged(path, "faiss cannot read it") from error
    if found.ntotal != rows:
        raise damaged(path, f"it holds {found.ntotal} descriptions; expected {rows}")
    if kind == "hnsw":
        found.hnsw.efSearch = SEARCH_BEAM
    else:
        found.nprobe = max(8, found.nlist // 32)
    return found


def propose(structure: Any, queries: Sequence[NDArray[np.float32]], k: int, scales: int) -> list[NDArray[np.int64]]:
    """For each photo's vectors (Q, dim): numbers of cells, ascending, that hold one of the ``k`` descriptions nearest
    to one of them. All are asked at once: faiss is fastest so."""
    if hasattr(structure, "hnsw"):
        structure.hnsw.efSearch = max(SEARCH_BEAM, k)
    vectors = np.ascontiguousarray(np.concatenate(queries), np.float32)
    _, rows = structure.search(vectors, min(k, structure.ntotal))
    cells = rows // scales
    if len(vectors) == len(queries) and scales == 1 and (rows >= 0).all():
        return list(np.sort(cells, axis=1))
    photo = np.repeat(np.arange(len(queries)), [len(query) for query in queries])
    # One number for photo and cell, so that what was proposed twice is found for all photos at once.
    numbers = np.unique((photo[:, None] * structure.ntotal + cells)[rows >= 0])
    starts = np.searchsorted(numbers, np.arange(len(queries) + 1) * structure.ntotal)
    return [numbers[starts[q] : starts[q + 1]] - q * structure.ntotal for q in range(len(queries))]


def _rows(codes: NDArray[Any]) -> NDArray[np.float32]:
    return np.ascontiguousarray(codes.reshape(-1, codes.shape[-1]), np.float32)
