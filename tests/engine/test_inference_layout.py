"""How arrays lie in memory, and where rows are digested, changes no result to the bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from torch import nn

from engine.device import Device
from engine.mapping.blending import ColumnBlender, RowBlender, row_like
from engine.mapping.inference import InferenceSettings, StreamingInference
from engine.mapping.inputrows import Normaliser
from engine.mapping.network import activate
from engine.mapping.tiles import Lattice, shares
from engine.raster.grid import Window
from tests.engine.test_inference import ArraySource, Patch

CPU = Device("cpu")
FloatArray = NDArray[np.float32]
NAN = np.float32(np.nan)


def innermost(values: torch.Tensor) -> torch.Tensor:
    """The same (classes, rows, columns) with the classes of a pixel beside each other."""
    return values.permute(1, 2, 0).contiguous().permute(2, 0, 1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("overlap", [0, 5, 20])
def test_blending_does_not_depend_on_the_order_in_memory(dtype: torch.dtype, overlap: int) -> None:
    generator = torch.Generator().manual_seed(overlap)
    size, tile = 71, 32
    lattice = Lattice(size, tile, tile - overlap)
    starts = [lattice.start(i) for i in range(len(lattice))]
    blender = RowBlender(list(shares(lattice)), starts, device=CPU.torch)
    made: list[list[torch.Tensor]] = [[], []]
    rows: list[torch.Tensor | None] = [None, None]
    columns = [ColumnBlender(), ColumnBlender()]
    for share in shares(lattice):
        tiles = [torch.randn((3, tile, tile), generator=generator).to(dtype) for _ in starts]
        for order, turn in enumerate((torch.Tensor.contiguous, innermost)):
            row = rows[order]
            if row is None:
                row = rows[order] = row_like(turn(tiles[0]), size)
                assert (row.stride(0) == 1) == (order == 1)
            for index, values in enumerate(tiles):
                blender.put(row, index, None if index == 1 else turn(values))
            made[order].append(columns[order].push(row, share).clone())
    for planar, turned in zip(*made, strict=True):
        assert torch.equal(planar, turned)


def test_one_class_is_never_turned() -> None:
    row = row_like(torch.zeros((1, 4, 4)), 9)
    assert row.shape == (1, 4, 9) and row.is_contiguous() and not row.any()


@pytest.mark.parametrize("activation", ["none", "sigmoid", "softmax"])
def test_activation_does_not_depend_on_the_order_in_memory(activation: Any) -> None:
    logits = torch.randn((5, 7, 11), generator=torch.Generator().manual_seed(1))
    missing = torch.zeros((7, 11), dtype=torch.bool)
    missing[2, 3:5] = True
    planar, turned = (
        activate(one, activation=activation, temperature=1.712, missing=missing) for one in (logits, innermost(logits))
    )
    assert torch.equal(planar.isnan(), missing.expand(5, 7, 11))
    assert torch.equal(planar.nan_to_num(-9), turned.nan_to_num(-9)) and turned.is_contiguous()


values_with_holes = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=3, max_dims=3, max_side=20),
    elements=st.one_of(
        st.sampled_from([NAN, -NAN, np.float32(np.inf), -np.float32(np.inf), np.finfo(np.float32).max]),
        st.floats(-(2.0**100), 2.0**100, width=32),
    ),
)


@given(values_with_holes, st.booleans(), st.booleans())
def test_missing_is_what_is_not_finite(values: FloatArray, any_band: bool, turned: bool) -> None:
    normaliser = Normaliser(
        InferenceSettings(validity=True, nodata="any" if any_band else "all"), device=CPU.torch
    )  # neither mean nor std: values as they are
    out = torch.zeros((values.shape[0] + 1, *values.shape[1:]))
    out = innermost(out) if turned else out
    missing = normaliser.write(torch.from_numpy(values), out, complete=False)
    finite = np.isfinite(values)
    wanted = ~(finite.all(axis=0) if any_band else finite.any(axis=0))
    assert missing is not None and np.array_equal(missing.numpy(), wanted)
    assert np.array_equal(out[:-1].numpy(), np.where(finite, values, 0)) and np.array_equal(out[-1].numpy(), ~wanted)


class Planar(nn.Module):
    """Answers with the classes outermost in memory, whatever its input was."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.network(x)
        return answer.contiguous()


def stream(network: nn.Module, source: ArraySource, **options: Any) -> dict[Window, NDArray[Any]]:
    digest = options.pop("digest", None)
    settings = InferenceSettings(**{"precision": "float32", "tile": 16, "overlap": 6, **options})
    return dict(StreamingInference(network, settings, device=CPU).stream(source, digest=digest))


@pytest.mark.parametrize("budget", [None, 40_000])
def test_streams_agree_whatever_the_network_answers_in_and_wherever_rows_are_digested(budget: int | None) -> None:
    values = np.random.default_rng(2).normal(size=(2, 53, 90)).astype(np.float32)
    values[:, 20:31, 7:60] = NAN
    values[0, 3, :50] = NAN
    options: dict[str, Any] = {"activation": "softmax", "temperature": 1.3, "budget_bytes": budget}
    plain = stream(Patch(), ArraySource(values), **options)
    planar = stream(Planar(Patch()), ArraySource(values), **options)
    assert plain.keys() == planar.keys()
    for window, found in plain.items():
        assert np.array_equal(found, planar[window], equal_nan=True)

    def best(rows: FloatArray) -> NDArray[np.uint8]:
        hidden = np.isnan(rows[0])
        return np.stack([np.where(hidden, 255, rows.argmax(axis=0)), hidden]).astype(np.uint8)

    digested = stream(Patch(), ArraySource(values), digest=best, **options)
    assert digested.keys() == plain.keys()
    for window, found in digested.items():
        assert found.dtype == np.uint8 and np.array_equal(found, best(plain[window]))


def test_a_digest_that_fails_is_heard() -> None:
    def fails(rows: FloatArray) -> NDArray[np.uint8]:
        raise ValueError("no classes")

    with pytest.raises(ValueError, match="no classes"):
        stream(Patch(), ArraySource(np.zeros((2, 40, 40), np.float32)), digest=fails)
