"""Stopping: signals reach a thread at once, and a job that does not obey in time is ended with the process.

A job is asked to stop through its :class:`~engine.events.CancelToken`. Python runs signal handlers between two steps
of the main thread, which may be inside a long call of a library; the C part of the handler writes to a socket at
once, so a thread of its own hears the signal there.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from engine.leftovers import Leftovers

GRACE_S = 1.2
"""How long a job may take to notice a cancel before the process is ended: cancel has to answer within 2 s."""

REMOVAL_S = 2.0
"""How long the removal of what an unfinished job leaves may take at the end of a worker."""
_LEAVING = threading.RLock()


def stop_signals() -> tuple[int, ...]:
    """The signals that ask this process to stop: SIGINT, SIGTERM, a hang-up unless nohup has it ignored, Ctrl-Break."""
    signals = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        signals.append(hang_up)
    ctrl_break = getattr(signal, "SIGBREAK", None)
    if ctrl_break is not None:
        signals.append(ctrl_break)
    return tuple(int(s) for s in signals)


def listen(signals: tuple[int, ...], heard: Callable[[int], None]) -> None:
    """Call ``heard(number)`` in a thread of its own whenever one of ``signals`` arrives. From the main thread only."""
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    wanted = set(signals)

    def wait() -> None:
        with sender:  # keeps both ends alive for as long as the thread
            while numbers := receiver.recv(64):
                for number in numbers:
                    if number in wanted:
                        heard(number)

    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    for number in signals:
        signal.signal(number, _no_action)
    threading.Thread(target=wait, name="signals", daemon=True).start()


def ignore(signals: tuple[int, ...]) -> None:
    """From now on ``signals`` change nothing, the interpreter's own end included. From the main thread only.

    At its end Python gives handlers back to the system, whose default would turn a finished job into a killed one; it
    leaves ignored signals ignored.
    """
    for number in signals:
        signal.signal(number, signal.SIG_IGN)


def _no_action(number: int, frame: FrameType | None) -> None:
    """The Python half of the handler: the listening thread has been told already."""


def end_process(code: int, leftovers: Leftovers | None = None) -> NoReturn:
    """Leave now, whatever other threads do; ``leftovers`` of the unfinished job are removed first.

    Where two threads ask for it the first leaves: a job that ends while its leftovers are removed does not cut that
    short.
    """
    with _LEAVING:
        if leftovers is not None:
            leftovers.remove()
        os._exit(code)


def after(seconds: float, action: Callable[[], None]) -> threading.Timer:
    """Call ``action`` in a daemon thread after ``seconds`` unless the timer is cancelled."""
    timer = threading.Timer(seconds, action)
    timer.daemon = True
    timer.start()
    return timer


def end_without_python(seconds: float) -> None:
    """Leave with code 1 after ``seconds`` even if a library holds the interpreter's lock: a timer in C does it.

    Called again it sets the one timer anew.
    """
    nowhere = open(os.devnull, "w")  # noqa: SIM115, PTH123 - has to stay open until the end of the process
    faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)
