"""What escapes a job is told as what it is: the user's machine, the user's files, or a defect of the engine."""

from __future__ import annotations

import pytest
import torch

from engine.errors import Cancelled, ParameterError
from engine.failures import explain


@pytest.mark.parametrize(
    ("error", "kind", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB"), "memory", "graphics processor"),
        (MemoryError("Unable to allocate 9 GiB"), "memory", "ran out of memory (Unable to allocate 9 GiB)"),
        (RuntimeError("The size of tensor a must match"), "internal", "RuntimeError: The size of tensor a"),
    ],
)
def test_memory_that_ran_out_is_no_defect(error, kind, told):
    found = explain(error)
    assert found.kind == kind and told in found.line and found.remedy


def test_what_is_told_already_stays_as_it_is():
    error = ParameterError("Wrong.")
    assert explain(error) is error
    assert isinstance(explain(KeyboardInterrupt()), Cancelled)
