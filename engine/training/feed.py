"""Batches read ahead by threads, handed on in order: what arrives never depends on how many threads there are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")

AHEAD = 2
"""Batches a thread that wait to be used."""


def read_ahead(make: Callable[[int], Item], start: int, stop: int, *, workers: int) -> Iterator[Item]:
    """``make(i)`` for i from ``start`` to ``stop`` − 1, in order, up to 2 a thread made ahead; 0 workers: made when
    asked for. An error of ``make`` is raised where its item would have come. Close the iterator to end the threads."""
    if workers < 1:
        yield from map(make, range(start, stop))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="feed")
    waiting: deque[Future[Item]] = deque()
    try:
        following = start
        while following < stop or waiting:
            while following < stop and len(waiting) < AHEAD * workers:
                waiting.append(pool.submit(make, following))
                following += 1
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True, cancel_futures=True)
