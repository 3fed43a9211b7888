"""Running a job from the command line: events to a bar or to stdout, Ctrl-C to a cancel, the end to an exit code."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from engine import stop
from engine.cli.console import Bar, Console
from engine.cli.failure import exit_code, report
from engine.environment import drop_foreign_variables, let_waiting_threads_sleep
from engine.errors import Cancelled, EngineError
from engine.events import CancelToken, Reporter
from engine.failures import explain
from engine.jobs import find_job
from engine.leftovers import Leftovers
from engine.protocol import EventWriter, RequestEvents, hello_event
from engine.quiet import quiet_libraries
from engine.training.processes import number_of

Summary = Callable[[dict[str, Any]], list[str]]
Verdict = Callable[[dict[str, Any]], EngineError | None]


class Interrupts:
    """Ctrl-C and SIGTERM: the first cancels the job, the second ends the process; so does a job that does not obey."""

    def __init__(self, token: CancelToken, leftovers: Leftovers, last_word: Callable[[], None]) -> None:
        self._token = token
        self._leftovers = leftovers
        self._last_word = last_word
        self._timer: threading.Timer | None = None
        self._released = False
        self._last = threading.Lock()
        self._signals = stop.stop_signals()
        stop.listen(self._signals, self._heard)

    def _heard(self, number: int) -> None:
        if self._released:
            return
        if self._token.cancelled:
            self._end()
        self._token.cancel()
        self._timer = stop.after(stop.GRACE_S, self._end)

    def _end(self) -> None:
        with self._last:  # not given back: what the job says when its files are taken away is not the last word
            if not self._released:
                self._last_word()
                stop.end_process(130, self._leftovers)

    def release(self) -> None:
        """The job is over: a signal that comes now changes nothing."""
        with self._last:
            self._released = True
        stop.ignore(self._signals)
        if self._timer is not None:
            self._timer.cancel()


def run_job(
    name: str,
    params: dict[str, Any],
    *,
    summary: Summary,
    verdict: Verdict = lambda result: None,
    debug: bool = False,
    events: bool = False,
) -> None:
    """Run the job and leave by SystemExit.

    ``summary`` gives the lines that tell the result on stdout; ``verdict`` an error when a result that was written is
    still no full success.
    """
    drop_foreign_variables()
    let_waiting_threads_sleep()
    quiet_libraries(debug=debug)
    console = Console(debug=debug)
    token = CancelToken()
    stream = RequestEvents(EventWriter(console.out.fileno(), lost=token.cancel), name) if events else None
    bar = Bar(console.err) if stream is None and console.err.isatty() else None

    def last_word() -> None:
        if stream is not None:
            stream.finish(Cancelled(), timeout=0.1)
        if bar is not None:
            bar.clear()
        report(Cancelled(), console.err, debug=False)

    interrupts = Interrupts(token, Leftovers.of(params.get("out")), last_word)
    if stream is not None:
        EventWriter(console.out.fileno()).send(hello_event())
        reporter = stream.reporter(token)
    else:
        reporter = Reporter(bar.take if bar is not None else None, token=token)
    failure: BaseException | None = None
    result: dict[str, Any] = {}
    try:
        job = find_job(name)
        result = job.run(job.parse(params), reporter)
    except BaseException as error:
        failure = error
    interrupts.release()
    if bar is not None:
        bar.clear()
    if stream is not None:
        stream.finish(explain(failure) if failure is not None else result)
    elif failure is None:
        console.say(*summary(result), *(f"Note: {warning}" for warning in reporter.warnings))
    if failure is None:
        failure = verdict(result)
    code = 0 if failure is None else report(failure, console.err, debug=debug)
    console.out.flush()
    if code == exit_code(Cancelled()) or number_of("WORLD_SIZE", 1) > 1:
        # What libraries do at exit may take longer than a cancel may, and threads between processes end it by abort.
        console.err.flush()
        stop.end_process(code)
    sys.exit(code)
