"""The page of photos: add them, see what each is, hide what their files tell of their place, show them on the map."""

from __future__ import annotations

from collections.abc import Sequence

from qgis.core import (
    QgsApplication,
    QgsCoordinateReferenceSystem,
    QgsRectangle,
    QgsReferencedRectangle,
    QgsSettings,
)
from qgis.PyQt.QtCore import QStandardPaths, Qt, QTemporaryDir, pyqtSignal
from qgis.PyQt.QtWidgets import QFileDialog, QWidget

from ...engine_client.failure import EngineFailure
from ...engine_client.locate import find_engine
from ...layers.photo_layer import PhotoLayer
from ...photos import wording
from ...photos.facts import Photo, PhotoSet
from ...tasks import cancel_task, stop_task
from ..workspace import Workspace
from .dropped import dropped_paths
from .photo_reading import PhotoReading
from .photos_view import PhotosView
from .zoom import zoom_to, zoom_to_place

_FOLDER = "samescene/locate/photos_folder"
_AROUND_M = 100.0
"""Metres around a place that are shown."""
_ONE_PLACE_DEG = 1e-3
"""Photos that are no farther apart are one place to be shown: about 100 m."""


class PhotosPage(PhotosView):
    """Fills ``photo_set``. :attr:`look_asked` carries a photo that the user wants to look around in; :attr:`selected`
    the photos that are selected, from the top."""

    look_asked = pyqtSignal(object)
    selected = pyqtSignal(list)

    def __init__(self, workspace: Workspace, photo_set: PhotoSet, parent: QWidget | None = None) -> None:
        super().__init__(photo_set, parent)
        self._workspace, self._set = workspace, photo_set
        self._thumbnails = QTemporaryDir()
        self._waiting: list[str] = []
        self._task: PhotoReading | None = None
        self._told: list[str] = []
        self.layer = PhotoLayer(photo_set, self)
        self.setAcceptDrops(True)
        self.add_files.clicked.connect(self._choose_files)
        self.add_folder.clicked.connect(self._choose_folder)
        self.remove.clicked.connect(self._remove)
        self.cancel.clicked.connect(self.stop)
        self.hide_positions.toggled.connect(self._hide)
        self.on_map.toggled.connect(self._show_layer)
        self.look.clicked.connect(self._look)
        self.zoom.clicked.connect(self._zoom)
        self.save_points.clicked.connect(self._save_points)
        self.table.doubleClicked.connect(self._look)
        self.table.selectionModel().selectionChanged.connect(self._selection_changed)
        self.layer.shown.connect(self._layer_shown)
        self.layer.picked.connect(self._picked)
        photo_set.changed.connect(self.refresh)
        workspace.banner.state_changed.connect(self.refresh)
        self.refresh()

    @property
    def reading(self) -> bool:
        """Whether photos are being read."""
        return self._task is not None

    def add(self, paths: Sequence[str]) -> None:
        """Read files and folders in the background and add them to the set; what comes meanwhile follows."""
        self._waiting += [path for path in paths if path not in self._waiting]
        if self._task is None and self._waiting:
            self._read()

    def stop(self) -> None:
        """Read no further; what was added stays."""
        self._waiting.clear()
        if self._task is not None:
            self.cancel.setEnabled(False)
            cancel_task(self._task)

    def refresh(self) -> None:
        """Show what can be done with what is there."""
        photos = self._set.photos()
        chosen = self.table.selected()
        ready = self._workspace.banner.engine_ready
        placed = any(photo.has_position for photo in photos)
        self.show_empty(not photos)
        for button in (self.add_files, self.add_folder):
            button.setEnabled(ready)
        self.remove.setEnabled(bool(chosen))
        self.look.setEnabled(len(chosen) == 1 and not chosen[0].fault)
        self.hide_positions.setEnabled(bool(photos))
        self.on_map.setEnabled(placed or self.layer.layer is not None)
        self.save_points.setEnabled(placed and ready)
        self.zoom.setEnabled(any(photo.has_position for photo in chosen or photos))
        self.show_details(self._details(photos, chosen))

    def shut_down(self) -> None:
        """Stop reading, take the layer off the map, and follow nothing any more."""
        self.stop()
        if self._task is not None:
            stop_task(self._task, 10)
        self._workspace.banner.state_changed.disconnect(self.refresh)
        self.layer.shut_down()
        self._thumbnails.remove()

    def dragEnterEvent(self, event):
        if self._workspace.banner.engine_ready and dropped_paths(event.mimeData()):
            event.acceptProposedAction()

    def dropEvent(self, event):
        self.add(dropped_paths(event.mimeData()))
        event.acceptProposedAction()

    # reading

    def _read(self) -> None:
        paths, self._waiting = self._waiting, []
        try:
            engine = find_engine()
        except EngineFailure as failure:
            self.say(failure.line)
            return
        self._task = PhotoReading(engine, paths, self._thumbnails.path())
        self._task.progressChanged.connect(self.set_progress)
        self._task.told.connect(self.progress_text.setText)
        self._task.taskCompleted.connect(self._read_ended)
        self._task.taskTerminated.connect(self._read_ended)
        self.say("")
        self.show_progress(True)
        QgsApplication.taskManager().addTask(self._task)

    def _read_ended(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self.show_progress(False)
        known = {photo.path for photo in self._set.photos()}
        self._set.add(task.photos)
        if task.fault:
            self.say(task.fault)
        elif task.isCanceled() and not task.photos:
            self.say(self.tr("Stopped: no photo was added."), "mIconInfo.svg")
        else:
            self._tell(task, known)
        if self._waiting:
            self._read()

    def _tell(self, task: PhotoReading, known: set[str]) -> None:
        broken = [photo for photo in task.photos if photo.fault]
        lines = list(task.warnings)
        if broken:
            lines.append(
                self.tr("{} of {} photos cannot be used: {}: {}").format(
                    len(broken), len(task.photos), broken[0].name, wording.fault(broken[0])
                )
            )
        if lines:
            self.say("\n".join(lines))
        elif task.photos and all(photo.path in known for photo in task.photos):
            self.say(self.tr("These photos are in the list already; they were read again."), "mIconInfo.svg")

    def _choose_files(self) -> None:
        kinds = self.tr("Photos") + " (*.jpg *.jpeg *.jpe *.png *.tif *.tiff *.webp *.JPG *.JPEG *.PNG *.TIF *.TIFF)"
        files, _ = QFileDialog.getOpenFileNames(self, self.tr("Add photos"), self._folder(), f"{kinds};;* (*)")
        if files:
            self._remember_folder(files[0].rsplit("/", 1)[0])
            self.add(files)

    def _choose_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Add a folder of photos"), self._folder())
        if folder:
            self._remember_folder(folder)
            self.add([folder])

    def _folder(self) -> str:
        home = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)
        return QgsSettings().value(_FOLDER, home, type=str)

    def _remember_folder(self, folder: str) -> None:
        QgsSettings().setValue(_FOLDER, folder)

    # what is selected

    def _details(self, photos: list[Photo], chosen: list[Photo]) -> list[str]:
        if len(chosen) == 1:
            return wording.told(chosen[0], hidden=self._set.hide_positions)
        if not photos:
            return []
        counted = [self.tr("{} photos").format(len(photos))]
        if chosen:
            counted.append(self.tr("{} selected").format(len(chosen)))
        placed = sum(photo.has_position for photo in photos)
        counted.append(
            self.tr("positions hidden") if self._set.hide_positions else self.tr("{} with a position").format(placed)
        )
        broken = sum(bool(photo.fault) for photo in photos)
        if broken:
            counted.append(self.tr("{} cannot be used").format(broken))
        return [", ".join(counted) + "."]

    def _selection_changed(self, *_) -> None:
        chosen = self.table.selected()
        self.layer.select([photo.path for photo in chosen])
        self.refresh()
        self.selected.emit(chosen)

    def _picked(self, paths: list[str]) -> None:
        self.table.select(paths)

    def _remove(self) -> None:
        self._set.remove([photo.path for photo in self.table.selected()])

    def _look(self, *_) -> None:
        chosen = self.table.selected()
        if len(chosen) == 1 and not chosen[0].fault:
            self.look_asked.emit(chosen[0])

    def keyPressEvent(self, event):
        if event.key() == Qt.Key.Key_Delete and self.table.hasFocus() and self.table.selected():
            self._remove()
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self.table.hasFocus():
            self._look()
        else:
            super().keyPressEvent(event)

    # positions and the map

    def _hide(self, on: bool) -> None:
        self._set.hide_positions = on

    def _show_layer(self, on: bool) -> None:
        if on:
            self.layer.show()
            self.layer.select([photo.path for photo in self.table.selected()])
        else:
            self.layer.hide()

    def _zoom(self) -> None:
        photos = [photo for photo in self.table.selected() or self._set.photos() if photo.has_position]
        lons, lats = [photo.lon for photo in photos], [photo.lat for photo in photos]
        if not photos:
            return
        box = QgsRectangle(min(lons), min(lats), max(lons), max(lats))
        canvas = self._workspace.canvas
        if max(box.width(), box.height()) < _ONE_PLACE_DEG:
            fault = zoom_to_place(canvas, box.center().x(), box.center().y(), _AROUND_M)
        else:
            fault = zoom_to(canvas, QgsReferencedRectangle(box, QgsCoordinateReferenceSystem("EPSG:4326")), margin=1.3)
        if fault:
            self.say(fault)

    def _layer_shown(self, on: bool) -> None:
        self.on_map.setChecked(on)
        self.refresh()

    def _save_points(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, self.tr("Folder for the points (empty)"), self._folder())
        if not folder:
            return
        paths = [photo.path for photo in self._set.usable()]
        _, fault = self._workspace.runner.begin("samescene:photos", {"PHOTOS": paths, "OUTPUT": folder})
        if fault:
            self.say(fault)
