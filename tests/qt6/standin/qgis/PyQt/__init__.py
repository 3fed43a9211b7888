"""``qgis.PyQt`` as QGIS 4 has it: PyQt6, with the classes that Qt 6 moved also under their old module."""

import sys
from importlib import import_module

for _name in ("QtCore", "QtGui", "QtNetwork", "QtSvg", "QtTest", "QtWidgets", "QtXml"):
    sys.modules[f"{__name__}.{_name}"] = globals()[_name] = import_module(f"PyQt6.{_name}")
for _name in ("QAction", "QActionGroup", "QFileSystemModel", "QShortcut", "QUndoCommand"):
    setattr(sys.modules[f"{__name__}.QtWidgets"], _name, getattr(sys.modules[f"{__name__}.QtGui"], _name))
