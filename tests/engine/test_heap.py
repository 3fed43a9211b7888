"""Memory that is freed is kept while a network is trained, so that its steps are not paid for in page faults."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.heap import SAID_BY

ROOT = Path(__file__).resolve().parents[2]

FAULTS = """
import sys, resource
import numpy as np
from engine.heap import freed_memory_kept

def faults(count=16):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        a = np.full(1 << 24, 1, np.float32)  # 64 MB
        b = np.full(1 << 20, 1, np.float32)
        del a, b
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() >> 20

faults(1)
usual = faults()
with freed_memory_kept():
    faults(1)
    kept = faults()
    held = resident()
print(usual, kept, faults(), held, resident())
"""


def told(**variables: str) -> list[int]:
    """Page faults of sixteen blocks of 64 MB before, within and after; MB in memory within and after."""
    environ = {name: value for name, value in os.environ.items() if name not in SAID_BY}
    environ.update(variables, PYTHONPATH=str(ROOT))
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, env=environ, cwd=ROOT, check=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    return [int(value) for value in done.stdout.split()]


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="the heap of another C library is left as it is",
)
def test_blocks_that_were_freed_are_used_again_until_the_training_ends():
    usual, kept, after, held, left = told()
    assert min(usual, after) >= 16 * 32, "where pages are huge a fault brings 2 MB"
    assert kept < 16 * 4
    assert left < held - 60, "given back"
    usual, kept, *_ = told(GLIBC_TUNABLES="")
    assert min(usual, kept) >= 16 * 32, "what the user says of the heap holds"
