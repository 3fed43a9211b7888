"""Opens QGIS's options dialog at the plugin's page."""

from __future__ import annotations

from .options_factory import PAGE_KEY


def open_options(iface) -> None:
    """Settings ▸ Options ▸ SameScene; returns when the dialog is closed."""
    iface.showOptionsDialog(iface.mainWindow(), PAGE_KEY)
