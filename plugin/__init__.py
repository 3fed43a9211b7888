"""The QGIS side of SameScene."""
