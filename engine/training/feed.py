"""Batches read ahead by threads, handed on in order: what arrives never depends on how many threads there are."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

Item = TypeVar("Item")

AHEAD = 2
"""Batches a thread that wait to be used."""


def read_ahead(
    make: Callable[[int], Item], start: int, stop: int, *, workers: int, ahead: int = AHEAD, one_core: bool = False
) -> Iterator[Item]:
    """``make(i)`` for i from ``start`` to ``stop`` − 1, in order, up to ``ahead`` a thread made ahead; 0 workers: made
    when asked for. An error of ``make`` is raised where its item would have come. Close the iterator to end the
    threads. With ``one_core`` torch uses one core in each of them, and as many as before elsewhere."""
    if workers < 1:
        yield from map(make, range(start, stop))
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="feed")
    waiting: deque[Future[Item]] = deque()
    try:
        if one_core:
            _keep_to_one_core(pool, workers)
        following = start
        while following < stop or waiting:
            # One more than wait: while an item is used, the threads make the next even where each makes one ahead.
            while following < stop and len(waiting) <= ahead * workers:
                waiting.append(pool.submit(make, following))
                following += 1
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
        pool.shutdown(wait=True, cancel_futures=True)


def _keep_to_one_core(pool: ThreadPoolExecutor, workers: int) -> None:
    """Torch would start as many helpers for every thread as it has for the caller, and they would fight for the cores.

    The number is one of each thread once that has asked for it; MKL's is one for all, so the caller's is set again.
    """
    import torch

    before = torch.get_num_threads()
    met = Barrier(workers + 1)

    def settle() -> None:
        torch.get_num_threads()
        met.wait()  # none takes another's number for its own
        torch.set_num_threads(1)
        met.wait()

    settled = [pool.submit(settle) for _ in range(workers)]
    try:
        met.wait()
        met.wait()
    except BaseException:  # an interrupt: none may wait for ever
        met.abort()
        raise
    for one in settled:
        one.result()
    torch.set_num_threads(before)
