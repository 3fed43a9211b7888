"""The ``engine`` command."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

import click

from engine.cli.lazy import Entry, LazyGroup
from engine.version import VERSION

MAP, ASSESS, LEARN, ENGINE = "Make maps", "Assess and test", "Train models", "Engine and models"

COMMANDS = {
    "flood": Entry("engine.cli.flood:command", "Map water and flood from Sentinel-1 or Sentinel-2.", MAP),
    "landcover": Entry("engine.cli.landcover:command", "Map land cover from Sentinel-2, Sentinel-1 or both.", MAP),
    "landcover-change": Entry("engine.cli.landcover_change:command", "Compare two land-cover maps.", MAP),
    "landcover-legend": Entry(
        "engine.cli.landcover_legend:command", "Bring a map to another legend, or merge classes.", MAP
    ),
    "locate": Entry("engine.cli.locate:group", "Find where a panorama was taken, in a region.", MAP),
    "photos": Entry("engine.cli.photos:group", "What photos tell of themselves; copies with a position.", MAP),
    "evaluate": Entry("engine.cli.evaluate:group", "Score maps, and panoramas, against the truth.", ASSESS),
    "assess": Entry("engine.cli.assess:group", "Draw points on a map; accuracy and areas from their labels.", ASSESS),
    "simulate": Entry("engine.cli.simulate:group", "Make simulated scenes and cities with exact truth.", ASSESS),
    "pretrain": Entry("engine.cli.pretrain:command", "Learn encoders from unlabelled sensor pairs.", LEARN),
    "finetune": Entry("engine.cli.finetune:command", "Train a flood model on labelled chips.", LEARN),
    "crossview": Entry("engine.cli.crossview:group", "Train networks that find where a panorama was taken.", LEARN),
    "study": Entry("engine.cli.study:group", "Compare methods over many training runs.", LEARN),
    "data": Entry("engine.cli.data:group", "Check and pack training data.", LEARN),
    "models": Entry("engine.cli.models:group", "List, show and verify models.", ENGINE),
    "doctor": Entry("engine.cli.doctor:command", "Report what is installed, what is wrong and how to mend it.", ENGINE),
    "worker": Entry("engine.cli.worker:command", "Serve requests on stdin: the process that QGIS starts.", ENGINE),
}

HELP = """SameScene: flood and land-cover maps from Sentinel-1 and Sentinel-2, on your own machine.

'engine COMMAND --help' lists the options of a command. Exit codes: 0 all done, 1 failed (one line on stderr says
why), 2 wrong option, 130 cancelled.
"""

EXAMPLES = """
engine flood after.tif --before before.tif --dem dem.tif -o flood-map
engine landcover image.tif -o land-cover
engine simulate scene --seed 1 -o scene
engine doctor
"""


def root() -> click.Group:
    """The group of all commands."""
    group = LazyGroup(
        "engine",
        COMMANDS,
        examples=EXAMPLES,
        help=HELP,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    )
    return click.version_option(VERSION, prog_name="engine", message="%(prog)s %(version)s")(group)


def main() -> None:
    """Entry point of the console script; leaves by SystemExit with 0, 1, 2 or 130."""
    for number in (signal.SIGINT, signal.SIGTERM):  # until a job runs there is nothing to stop but this process
        signal.signal(number, _leave)
    try:
        root().main(prog_name="engine")
    except Exception as error:  # the last place where a traceback can be turned into a line
        from engine.cli.failure import report_and_exit

        report_and_exit(error, debug="--debug" in sys.argv)


def _leave(number: int, frame: FrameType | None) -> None:
    os._exit(130)


if __name__ == "__main__":
    main()
