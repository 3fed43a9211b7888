"""The SameScene engine: flood and land-cover maps, and cross-view search, without QGIS."""

from engine.version import VERSION as __version__  # noqa: N811

__all__ = ["__version__"]
