"""Start of the worker: ``python -I -u -X utf8 …/engine/worker_main.py`` or ``engine worker``.

Runs as a plain file, so that any Python that has the dependencies can run the engine source beside it. Descriptor 1
is put away for the protocol before anything else is imported: what a library prints goes to stderr.
"""

from __future__ import annotations

import os
import sys


def open_standard_descriptors() -> None:
    """Open those of descriptors 0, 1 and 2 that are closed on nothing, so that no file of a job becomes one of them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def keep_stdout() -> int:
    """A descriptor of the present stdout; from now on everything written to descriptor 1 goes to stderr."""
    open_standard_descriptors()
    kept = os.dup(1)
    os.dup2(2, 1)
    if sys.platform == "win32":
        import msvcrt

        msvcrt.setmode(kept, os.O_BINARY)
        msvcrt.setmode(0, os.O_BINARY)
    return kept


def main(arguments: list[str]) -> int:
    """Serve until the end of stdin; ``--debug`` adds tracebacks as log events."""
    events = keep_stdout()
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib comes later
    if root not in sys.path:
        sys.path.insert(0, root)
    from engine.environment import drop_foreign_variables, let_waiting_threads_sleep

    drop_foreign_variables()
    let_waiting_threads_sleep()
    debug = "--debug" in arguments
    from engine.quiet import quiet_libraries
    from engine.worker import run

    quiet_libraries(debug=debug)
    return run(events, debug=debug)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
