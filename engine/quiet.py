"""Silence: what libraries warn about on their own is not for the user, who gets the engine's own lines."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries(*, debug: bool) -> None:
    """Switch off Python warnings and the fall-back printing of :mod:`logging`; with ``debug`` they stay."""
    if debug:
        return
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
