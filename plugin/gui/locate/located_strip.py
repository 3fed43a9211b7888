"""Where accepted places go: the file, how many there are, the layer, and copies of the photos that know their place."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QHBoxLayout, QLabel, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from ...layers.located import FILE, LocatedError, LocatedPhotos
from ..form_parts import hint
from ..icons import theme_icon
from ..workspace import Workspace
from .write_back import WriteBack

_SCOPE, _KEY = "samescene", "located"


class LocatedStrip(QWidget):
    """:attr:`changed` when another file was chosen. The file is remembered with the project; until one is chosen it
    lies beside the search's results."""

    changed = pyqtSignal()

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._beside = Path()
        self.located = LocatedPhotos(FILE)
        self.write_back = WriteBack(workspace, self)
        self.text = QLabel()
        self.text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.told = hint("")
        self.told.hide()
        self.file = self._button("mActionFileOpen.svg", self.tr("Another file for accepted places…"), self.choose)
        self.layer = self._button(
            "mActionAddOgrLayer.svg", self.tr("Show the layer of located photos"), self.show_layer
        )
        self.copies = self._button(
            "mActionSaveAllEdits.svg",
            self.tr("Write the places into copies of the photos… (the photos themselves are never changed)"),
            self.write_copies,
        )
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self.text, 1)
        for button in (self.file, self.layer, self.copies):
            row.addWidget(button)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        column.addLayout(row)
        column.addWidget(self.told)
        self.write_back.told.connect(self.tell)
        self.refresh()

    def _button(self, symbol: str, tip: str, clicked) -> QToolButton:
        button = QToolButton()
        button.setIcon(theme_icon(symbol))
        button.setToolTip(tip)
        button.setAccessibleName(tip.rstrip("…"))
        button.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        button.setAutoRaise(True)
        button.clicked.connect(lambda *_: clicked())
        return button

    def use_folder(self, out: str) -> None:
        """The results that are reviewed: the file lies beside them, unless the project names another."""
        self._beside = Path(out).absolute().parent
        named, there = QgsProject.instance().readEntry(_SCOPE, _KEY, "")
        self.located = LocatedPhotos(named if there and named else self._beside / FILE)
        self.tell("")
        self.refresh()

    def use_file(self, path: str) -> None:
        """Keep accepted places in this file, and remember it with the project."""
        if not path.lower().endswith(".gpkg"):
            path += ".gpkg"
        self.located = LocatedPhotos(path)
        QgsProject.instance().writeEntry(_SCOPE, _KEY, str(self.located.path))
        self.refresh()
        self.changed.emit()

    def refresh(self) -> None:
        """Show how many places there are."""
        try:
            count = len(self.located.places())
        except LocatedError as fault:
            self.tell(str(fault))
            count = 0
        name = self.located.path.name
        self.text.setText(self.tr("{} located in {}").format(count, name) if count else self.tr("None located yet"))
        self.text.setToolTip(str(self.located.path))
        self.layer.setEnabled(count > 0)
        self.copies.setEnabled(count > 0 and not self.write_back.running)

    def tell(self, text: str) -> None:
        """A line under the buttons; none for an empty text."""
        self.told.setText(text)
        self.told.setVisible(bool(text))
        self.copies.setEnabled(self.layer.isEnabled() and not self.write_back.running)

    def choose(self) -> None:
        """Ask for another file."""
        path, _ = QFileDialog.getSaveFileName(
            self,
            self.tr("File of located photos"),
            str(self.located.path),
            "GeoPackage (*.gpkg)",
            options=QFileDialog.Option.DontConfirmOverwrite,  # what is in it stays
        )
        if path:
            self.use_file(path)

    def show_layer(self) -> None:
        """Put the layer into the project."""
        try:
            layer = self.located.show()
        except LocatedError as fault:
            self.tell(str(fault))
            return
        self._workspace.iface.layerTreeView().setCurrentLayer(layer)

    def write_copies(self) -> None:
        """Ask for a folder and write copies of the photos that know their place."""
        folder = QFileDialog.getExistingDirectory(
            self, self.tr("Folder for copies of the photos"), str(self.located.path.parent)
        )
        if folder:
            self.write_copies_to(folder)

    def write_copies_to(self, folder: str) -> None:
        """Write copies of all located photos into a folder."""
        self.write_back.start(self.located, folder)
        self.refresh()

    def shut_down(self) -> None:
        """Follow nothing any more."""
        self.write_back.shut_down()
