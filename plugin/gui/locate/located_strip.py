"""Where accepted places go: the file, how many there are, the layer, and copies of the photos that know their place."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProject
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from ...layers.located import FILE, LocatedPhoto, LocatedPhotos
from ..form_parts import hint
from ..icons import theme_icon
from ..workspace import Workspace
from .elided_label import ElidedLabel
from .located_keeper import ACCEPT, OPEN, READ, REFUSE, LocatedKeeper
from .write_back import WriteBack

_SCOPE, _KEY = "samescene", "located"


class LocatedStrip(QWidget):
    """The file is remembered with the project; until one is chosen it lies beside the search's results.

    :attr:`read` carries what the file holds, accepted and refused; :attr:`written` a decision that is on the disk (kind
    and place); :attr:`failed` one that is not, and one line why. They follow later than what was asked.
    """

    read = pyqtSignal(list, list)
    written = pyqtSignal(str, object)
    failed = pyqtSignal(object, str)

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.located = LocatedPhotos(FILE)
        self.write_back = WriteBack(workspace, self)
        self.keeper = LocatedKeeper(self)
        self._count = 0
        self._copies_to, self._choose = "", False
        self.text = ElidedLabel()
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
        self.keeper.read.connect(self._read)
        self.keeper.written.connect(self._written)
        self.keeper.failed.connect(self._failed)
        self.keeper.opened.connect(self._opened)
        self._show()

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
        beside = Path(out).absolute().parent
        named, there = QgsProject.instance().readEntry(_SCOPE, _KEY, "")
        self._use(LocatedPhotos(named if there and named else beside / FILE))

    def use_file(self, path: str) -> None:
        """Keep accepted places in this file, and remember it with the project."""
        if not path.lower().endswith(".gpkg"):
            path += ".gpkg"
        QgsProject.instance().writeEntry(_SCOPE, _KEY, path)
        self._use(LocatedPhotos(path))

    def accept(self, place: LocatedPhoto) -> None:
        """Keep an accepted place."""
        self.keeper.ask(ACCEPT, self.located, place)

    def refuse(self, place: LocatedPhoto) -> None:
        """Note a candidate that was refused."""
        self.keeper.ask(REFUSE, self.located, place)

    def _use(self, located: LocatedPhotos) -> None:
        self.located, self._count = located, 0
        self.tell("")
        self._show()
        self.keeper.ask(READ, located)

    def _read(self, places: list, refused: list) -> None:
        self._count = len(places)
        self._show()
        self.read.emit(places, refused)
        if self._copies_to:
            self.write_copies_to(self._copies_to)

    def _written(self, kind: str, place: LocatedPhoto) -> None:
        self.tell("")
        self.located.refresh()
        if kind == ACCEPT and self.located.shown() is None:
            self.keeper.ask(OPEN, self.located)
        self.written.emit(kind, place)

    def _failed(self, place: LocatedPhoto | None, fault: str) -> None:
        self.tell(fault)
        self.failed.emit(place, fault)
        if place is not None:
            self.keeper.ask(READ, self.located)  # what is there counts

    def _opened(self, layer) -> None:
        layer = self.located.show(layer)
        if self._choose:  # the user asked for it; else what is chosen in the tree stays so
            self._workspace.iface.layerTreeView().setCurrentLayer(layer)
        self._choose = False

    def _show(self) -> None:
        name = self.located.path.name
        text = self.tr("{} located in {}").format(self._count, name) if self._count else self.tr("None located yet")
        self.text.setText(text)
        self.text.setToolTip(str(self.located.path))
        self.layer.setEnabled(self._count > 0)
        self.copies.setEnabled(self._count > 0 and not self.write_back.running)

    def tell(self, text: str) -> None:
        """A line under the buttons; none for an empty text."""
        self.told.setText(text)
        self.told.setVisible(bool(text))
        self._show()

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
        """Put the layer into the project, or choose it there."""
        self._choose = True
        self.keeper.ask(OPEN, self.located)

    def write_copies(self) -> None:
        """Ask for a folder and write copies of the photos that know their place."""
        folder = QFileDialog.getExistingDirectory(
            self, self.tr("Folder for copies of the photos"), str(self.located.path.parent)
        )
        if folder:
            self.write_copies_to(folder)

    def write_copies_to(self, folder: str) -> None:
        """Write copies of all located photos into a folder, those that are being written down too."""
        if self.keeper.busy:
            self._copies_to = folder
            return
        self._copies_to = ""
        self.write_back.start(self.located, folder)
        self._show()

    def shut_down(self) -> None:
        """Follow nothing any more; what was decided is on the disk."""
        self.keeper.shut_down()
        self.write_back.shut_down()
