"""The C library's heap: while a network is trained, memory that is freed is kept for the next step.

glibc takes blocks of 32 MB and more (at first of 128 KB) from the kernel one by one and gives each back when it is
freed, so that the features of every step are paid for in page faults: pages are taken, cleared and dropped again.
Maps are made in blocks that are used again anyway; there it would cost memory and gain nothing (docs/benchmarks.md).
Elsewhere (Windows, macOS, musl) nothing is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator, Mapping

_MMAP_THRESHOLD, _TRIM_THRESHOLD, _TOP_PAD = -3, -1, -2
"""Parameters of ``mallopt``, as malloc.h numbers them."""

KEPT = {_MMAP_THRESHOLD: 2**30, _TRIM_THRESHOLD: 2**30, _TOP_PAD: 2**26}
"""Smaller blocks come from the heap, so many bytes may lie free at its end, and by so many more it grows."""

USUAL = {_MMAP_THRESHOLD: 2**25, _TRIM_THRESHOLD: 2**26, _TOP_PAD: 2**17}
"""What glibc by itself comes to in a process that has freed a large block."""

SAID_BY = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")
"""Variables by which a user may have said how the heap works."""


@contextlib.contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Keep freed memory within the block and give it back after it, unless the environment says how the heap works. The
    peak may grow by the holes between what is in use."""
    libc = _glibc()
    if libc is None or any(name in os.environ for name in SAID_BY):
        yield
        return
    _set(libc, KEPT)
    try:
        yield
    finally:
        _set(libc, USUAL)
        libc.malloc_trim(0)


def _set(libc: ctypes.CDLL, values: Mapping[int, int]) -> None:
    for what, value in values.items():
        libc.mallopt(what, value)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "gnu_get_libc_version") else None
