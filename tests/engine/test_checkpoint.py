"""Checkpoints: whole or absent, the one before is kept, nothing is pickled."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from engine.errors import DamagedFileError, MissingFileError, OutputError
from engine.training.checkpoint import (
    CHECKPOINT,
    PREVIOUS,
    STATE,
    Checkpoint,
    joined,
    load_checkpoint,
    load_optimiser,
    optimiser_tensors,
    save_checkpoint,
)


def make(step: int) -> Checkpoint:
    tensors = joined(model={"a": torch.full((3,), float(step)), "flag": torch.tensor([True, False])})
    return Checkpoint(step, tensors, {"seed": 5, "rate": 0.1})


def test_what_was_saved_comes_back(tmp_path):
    save_checkpoint(tmp_path, make(7))
    found, warning = load_checkpoint(tmp_path)
    assert warning is None
    assert found.step == 7
    assert found.facts["seed"] == 5
    assert found.facts["rate"] == 0.1
    assert found.part("model")["a"].tolist() == [7, 7, 7]
    assert found.part("model")["flag"].tolist() == [True, False]
    assert json.loads((tmp_path / STATE).read_text(encoding="utf-8"))["step"] == 7


def test_the_one_before_is_kept_and_used_when_the_last_is_damaged(tmp_path):
    save_checkpoint(tmp_path, make(1))
    save_checkpoint(tmp_path, make(2))
    last = tmp_path / CHECKPOINT
    last.write_bytes(last.read_bytes()[:-5])
    found, warning = load_checkpoint(tmp_path)
    assert found.step == 1
    assert CHECKPOINT in warning
    assert "step 1" in warning


def test_a_kill_between_the_two_moves_leaves_the_one_before(tmp_path):
    save_checkpoint(tmp_path, make(1))
    (tmp_path / CHECKPOINT).replace(tmp_path / PREVIOUS)
    assert load_checkpoint(tmp_path)[0].step == 1


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04\x95pickle", b"\xff" * 64])
def test_files_that_are_none_are_one_line(tmp_path, content):
    (tmp_path / CHECKPOINT).write_bytes(content)
    with pytest.raises(DamagedFileError, match=CHECKPOINT) as caught:
        load_checkpoint(tmp_path)
    assert "\n" not in caught.value.line


def test_a_foreign_safetensors_file_is_damaged(tmp_path):
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / CHECKPOINT)
    with pytest.raises(DamagedFileError):
        load_checkpoint(tmp_path)


def test_nothing_there_is_missing(tmp_path):
    with pytest.raises(MissingFileError, match="no checkpoint"):
        load_checkpoint(tmp_path)


def test_a_place_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path):
    home = tmp_path / "run"
    with pytest.raises(OutputError, match="run"):
        save_checkpoint(home, make(1))
    assert not home.exists()


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_an_optimiser_goes_on_as_if_it_had_not_stopped(name):
    def start() -> tuple[nn.Module, torch.optim.Optimizer]:
        torch.manual_seed(0)
        module = nn.Linear(4, 2)
        kinds = {"adamw": lambda p: torch.optim.AdamW(p, lr=0.1), "sgd": lambda p: torch.optim.SGD(p, 0.1, 0.9)}
        return module, kinds[name](module.parameters())

    def steps(module: nn.Module, optimiser: torch.optim.Optimizer, numbers: range) -> None:
        for n in numbers:
            optimiser.zero_grad()
            module(torch.full((3, 4), float(n))).square().sum().backward()
            optimiser.step()

    whole, optimiser = start()
    steps(whole, optimiser, range(6))
    first, before = start()
    steps(first, before, range(3))
    second, after = start()
    second.load_state_dict(first.state_dict())
    load_optimiser(after, {k: v.clone() for k, v in optimiser_tensors(before).items()})
    steps(second, after, range(3, 6))
    for a, b in zip(whole.parameters(), second.parameters(), strict=True):
        assert a.equal(b)
