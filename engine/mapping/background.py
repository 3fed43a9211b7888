"""A producer in a thread of its own with a bounded buffer: reading ahead of computing, computing ahead of writing."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Stopped(Exception):  # noqa: N818 - a signal inside the threads, never seen by callers
    """Raised inside a producer when nobody wants its items any more."""


class Background(Generic[T]):
    """Runs ``produce(stop)`` in a daemon thread and hands its items over, at most ``depth`` ahead.

    ``stop`` is set by :meth:`close`; a producer that works long between items looks at it and raises
    :class:`Stopped`. An exception of the producer is raised again, once, by :meth:`get` in the consumer, after the
    items made before it.
    """

    def __init__(self, produce: Callable[[threading.Event], Iterator[T]], *, depth: int, name: str) -> None:
        self.stop = threading.Event()
        self._depth = depth
        self._items: deque[T] = deque()
        self._change = threading.Condition()
        self._done = False
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(produce,), name=name, daemon=True)
        self._thread.start()

    def _run(self, produce: Callable[[threading.Event], Iterator[T]]) -> None:
        error: BaseException | None = None
        try:
            for item in produce(self.stop):
                with self._change:
                    while len(self._items) >= self._depth and not self.stop.is_set():
                        self._change.wait()
                    if self.stop.is_set():
                        break
                    self._items.append(item)
                    self._change.notify_all()
                del item  # a waiting producer must not hold the item it has handed over
        except Stopped:
            pass
        except BaseException as caught:  # handed to the consumer, whatever it is
            error = caught
        with self._change:
            self._error, self._done = error, True
            self._change.notify_all()

    def get(self, poll: Callable[[], None] | None = None, *, every_s: float = 0.1) -> T | None:
        """The next item, or None after the last; ``poll`` is called while waiting and may raise."""
        with self._change:
            while not self._items and not self._done:
                self._change.wait(every_s if poll is not None else None)
                if poll is not None:
                    poll()
            if self._items:
                item = self._items.popleft()
                self._change.notify_all()
                return item
            error, self._error = self._error, None
        if error is not None:
            raise error
        return None

    def close(self, *, wait_s: float) -> bool:
        """Ask the producer to stop, drop what it made, wait at most ``wait_s``; True when its thread has ended."""
        self.stop.set()
        with self._change:
            self._items.clear()
            self._change.notify_all()
        self._thread.join(wait_s)
        return not self._thread.is_alive()
