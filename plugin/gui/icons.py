"""Icons: QGIS's own where it has one, else the plugin's SVG files."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsApplication
from qgis.PyQt.QtGui import QIcon

_FOLDER = Path(__file__).resolve().parents[2] / "resources" / "icons"


def icon(name: str) -> QIcon:
    """The plugin's icon ``name`` (without ending)."""
    return QIcon(str(_FOLDER / f"{name}.svg"))


def theme_icon(name: str) -> QIcon:
    """An icon of QGIS's theme, for example ``"mActionStart.svg"``."""
    return QgsApplication.getThemeIcon(f"/{name}")
