"""SameScene for QGIS: this folder is the plugin's; ``engine/`` runs in a Python environment and process of its own."""


def classFactory(iface):  # noqa: N802
    """What QGIS calls to load the plugin."""
    from .plugin.main import SameScenePlugin

    return SameScenePlugin(iface)
