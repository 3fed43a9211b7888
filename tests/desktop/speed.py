"""How long the window's thread may compute at once, on this machine.

A tenth of a second is what a user takes for "at once" (Nielsen 1993), and it is asked on a present processor. An older
one may take longer in proportion: the same work, not the same time, is what a test can ask of the code.
"""

from __future__ import annotations

import functools
import statistics
import time

LIMIT_MS = 100.0

PRESENT_MS = 32.0
"""Processor milliseconds of :func:`_work` on such a processor. An AMD EPYC with AVX2 alone takes 37 to 46: there
opening the viewer computes for 103 ms, which on the AVX-512 machines that the limit was set on stays below 100."""

MOST = 2.0
"""By which the limit is stretched at most."""


@functools.lru_cache(maxsize=1)
def at_once_ms() -> float:
    """:data:`LIMIT_MS`, stretched where this processor is slower than :data:`PRESENT_MS` says; never shortened."""
    return LIMIT_MS * min(MOST, max(1.0, statistics.median(_work() for _ in range(15)) / PRESENT_MS))


def _work() -> float:
    started = time.process_time()
    found: dict[int, str] = {}
    for number in range(200_000):
        found[number % 997] = str(number * number)
    return (time.process_time() - started) * 1000
