"""Pages of runs and studies: the look that all of them share (``page.css``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from engine.pages import page_template

if TYPE_CHECKING:
    from jinja2 import Template


def run_template(path: Path) -> Template:
    """The template in ``path``; it may include and extend what lies in this folder, ``page.css`` among it."""
    return page_template(path, Path(__file__).parent)
