"""``engine worker``."""

from __future__ import annotations

import sys

import click


@click.command("worker")
@click.option("--debug", is_flag=True, help="Send tracebacks as log events, and let libraries warn on stderr.")
def command(debug: bool) -> None:
    """Serve requests, one JSON object a line on stdin, with events as JSON lines on stdout, until stdin ends."""
    from engine.worker_main import main

    sys.exit(main(["--debug"] if debug else []))
