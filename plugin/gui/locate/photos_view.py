"""How the page of photos is laid out: buttons, table, what is known of the selected photo, switches."""

from __future__ import annotations

from qgis.PyQt.QtCore import QEvent, QSize, Qt
from qgis.PyQt.QtWidgets import (
    QCheckBox,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from ...photos.facts import PhotoSet
from ..form_parts import hint
from ..icons import icon, theme_icon
from .photo_table import PhotoTable


class PhotosView(QWidget):
    """The widgets; what they do stands in :class:`plugin.gui.locate.photos_page.PhotosPage`."""

    def __init__(self, photo_set: PhotoSet, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        tr = self.tr
        self.add_files = self._button("symbologyAdd.svg", tr("Photos…"), tr("Add photos; they can be dropped here too"))
        self.add_folder = self._button(
            "mActionFileOpen.svg", tr("Folder…"), tr("Add all photos of a folder and of the folders in it")
        )
        self.remove = self._button(
            "symbologyRemove.svg", tr("Remove"), tr("Take the selected photos off the list; the files stay (Del)")
        )
        self.zoom = self._button(
            "mActionZoomToSelected.svg", "", tr("Show on the map where the selected photos were taken, else all")
        )
        self.zoom.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonIconOnly)
        self.zoom.setAccessibleName(tr("Zoom to the photos"))
        self.table = PhotoTable(photo_set)
        self.empty = hint(tr("Drop photos or a folder here, or add them above.\n360° panoramas are found best."))
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setParent(self.table.viewport())
        self.empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.table.viewport().installEventFilter(self)
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.progress.setTextVisible(False)
        self.progress.setMaximumHeight(8)
        self.progress_text = QLabel()
        self.cancel = self._button("mTaskCancel.svg", tr("Stop"), tr("Read no further; what was added before stays"))
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.message_icon = QLabel()
        self.details = QLabel()
        self.details.setWordWrap(True)
        self.details.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.details.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.hide_positions = QCheckBox(tr("&Hide positions that the files tell"))
        self.hide_positions.setToolTip(
            tr("As if the photos had lost them: neither this tab nor the map shows one, and none helps the search")
        )
        self.on_map = QCheckBox(tr("Show on the &map"))
        self.on_map.setToolTip(tr("A layer of points that turn to where the photos look; it follows this list"))
        self.look = QPushButton(icon("panorama"), tr("&Look around"))
        self.look.setToolTip(tr("Open the selected photo in the viewer (double click)"))
        self.save_points = QPushButton(theme_icon("mActionFileSave.svg"), tr("Save &points…"))
        self.save_points.setToolTip(tr("Write the photos with a position as a layer of points into a folder"))
        self._lay_out()
        self.show_progress(False)
        self.say("")

    @staticmethod
    def _button(symbol: str, text: str, tip: str) -> QToolButton:
        button = QToolButton()
        button.setIcon(theme_icon(symbol))
        button.setText(text)
        button.setToolTip(tip)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setIconSize(QSize(16, 16))
        button.setAutoRaise(True)
        return button

    def _lay_out(self) -> None:
        top = QHBoxLayout()
        top.setSpacing(2)
        for button in (self.add_files, self.add_folder, self.remove):
            top.addWidget(button)
        top.addStretch(1)
        top.addWidget(self.zoom)
        self._working = QWidget()
        working = QVBoxLayout(self._working)
        working.setContentsMargins(0, 0, 0, 0)
        working.setSpacing(2)
        line = QHBoxLayout()
        line.addWidget(self.progress_text, 1)
        line.addWidget(self.cancel)
        working.addLayout(line)
        working.addWidget(self.progress)
        self._note = QWidget()
        note = QHBoxLayout(self._note)
        note.setContentsMargins(0, 0, 0, 0)
        note.setSpacing(6)
        note.addWidget(self.message_icon, 0, Qt.AlignmentFlag.AlignTop)
        note.addWidget(self.message, 1)
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        buttons.addWidget(self.look, 1)
        buttons.addWidget(self.save_points, 1)
        column = QVBoxLayout(self)
        column.setContentsMargins(9, 6, 9, 9)
        column.setSpacing(6)
        column.addLayout(top)
        column.addWidget(self.table, 1)
        for part in (self._working, self._note, self.details, self.hide_positions, self.on_map):
            column.addWidget(part)
        column.addLayout(buttons)

    def say(self, text: str, symbol: str = "mIconWarning.svg") -> None:
        """Show a message; none when ``text`` is empty."""
        self._note.setVisible(bool(text))
        self.message.setText(text)
        if text:
            self.message_icon.setPixmap(theme_icon(symbol).pixmap(16, 16))

    def show_progress(self, on: bool) -> None:
        """Show or hide the bar."""
        self._working.setVisible(on)
        self.cancel.setEnabled(on)
        self.progress.setValue(0)
        self.progress_text.setText(self.tr("Starting the engine") if on else "")

    def set_progress(self, percent: float) -> None:
        """How far it is."""
        self.progress.setValue(round(percent))

    def show_empty(self, on: bool) -> None:
        """Say in the table that it has no photos."""
        self.empty.setVisible(on)
        self._place_hint()

    def show_details(self, lines: list[str]) -> None:
        """What is known of the selected photo, in sentences."""
        self.details.setVisible(bool(lines))
        self.details.setText(" ".join(lines))

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Resize:
            self._place_hint()
        return super().eventFilter(watched, event)

    def _place_hint(self) -> None:
        self.empty.setGeometry(self.table.viewport().rect().adjusted(12, 0, -12, 0))
