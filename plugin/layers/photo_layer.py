"""A layer of the session's photos in the project that follows the set: what is added, removed or hidden."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from qgis.core import (
    NULL,
    QgsFeature,
    QgsField,
    QgsGeometry,
    QgsPoint,
    QgsProject,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QDateTime, QMetaType, QObject, Qt, QVariant, pyqtSignal

from ..compat import scoped
from ..photos.facts import Photo, PhotoSet
from .photo_styles import style_photos

PHOTOS_PROPERTY = "samescene/photos"
_TEXT = scoped((QVariant, "Type.String"), (QMetaType, "Type.QString"))  # Qt 5, Qt 6
_REAL = scoped((QVariant, "Type.Double"), (QMetaType, "Type.Double"))
_WHOLE = scoped((QVariant, "Type.Int"), (QMetaType, "Type.Int"))
_TIME = scoped((QVariant, "Type.DateTime"), (QMetaType, "Type.QDateTime"))
FIELDS = (
    ("photo", _TEXT), ("filename", _TEXT), ("directory", _TEXT), ("altitude", _REAL), ("direction", _REAL),
    ("rotation", _WHOLE), ("longitude", _TEXT), ("latitude", _TEXT), ("timestamp", _TIME), ("kind", _TEXT),
    ("width", _WHOLE), ("height", _WHOLE), ("hfov_deg", _REAL), ("vfov_deg", _REAL), ("camera", _TEXT),
    ("notes", _TEXT), ("thumbnail", _TEXT),
)  # fmt: skip


class PhotoLayer(QObject):
    """Photos with a position as points (EPSG:4326) in the memory of this session; :meth:`show` puts them on the map.

    :attr:`shown` tells whether the layer is in the project, also when the user took it out there. :attr:`picked`
    carries the files of the features that were selected on the map.
    """

    shown = pyqtSignal(bool)
    picked = pyqtSignal(list)

    def __init__(self, photos: PhotoSet, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._photos = photos
        self._ids: dict[str, int] = {}
        self._following = True
        self.layer: QgsVectorLayer | None = None
        photos.changed.connect(self._fill)
        QgsProject.instance().readProject.connect(self._drop_empty)

    def show(self) -> QgsVectorLayer:
        """The layer, on top of the project's layers; made anew when it is not there."""
        if self.layer is None:
            layer = QgsVectorLayer("PointZ?crs=EPSG:4326", self.tr("Photos of this session"), "memory")
            layer.dataProvider().addAttributes([QgsField(name, kind) for name, kind in FIELDS])
            layer.updateFields()
            style_photos(layer)
            layer.setCustomProperty(PHOTOS_PROPERTY, True)
            layer.setCustomProperty("skipMemoryLayersCheck", 1)  # nothing is lost with it: the photos stay
            layer.setReadOnly(True)
            layer.willBeDeleted.connect(self._gone)
            layer.selectionChanged.connect(self._selected)
            self.layer = layer
            self._fill()
            QgsProject.instance().addMapLayer(layer, False)
            QgsProject.instance().layerTreeRoot().insertLayer(0, layer)
            self.shown.emit(True)
        return self.layer

    def hide(self) -> None:
        """Take the layer out of the project."""
        if self.layer is not None:
            QgsProject.instance().removeMapLayer(self.layer.id())

    def select(self, paths: Iterable[str]) -> None:
        """Select the features of these files, and no other."""
        if self.layer is None:
            return
        self._following = False
        self.layer.selectByIds([self._ids[path] for path in paths if path in self._ids])
        self._following = True

    def shut_down(self) -> None:
        """Take the layer away and follow nothing any more."""
        QgsProject.instance().readProject.disconnect(self._drop_empty)
        self.hide()

    def _drop_empty(self, *_) -> None:
        """A project that was saved with the layer holds an empty one: its photos were those of another session."""
        project = QgsProject.instance()
        layers = [layer for layer in project.mapLayers().values() if layer.customProperty(PHOTOS_PROPERTY)]
        project.removeMapLayers([layer.id() for layer in layers if layer is not self.layer])

    def _fill(self) -> None:
        if self.layer is None:
            return
        photos = [photo for photo in self._photos.usable() if photo.has_position]
        features = [self._feature(photo) for photo in photos]
        provider = self.layer.dataProvider()
        self._following = False
        self.layer.removeSelection()
        provider.truncate()
        made = provider.addFeatures(features)[1]
        self._ids = {photo.path: feature.id() for photo, feature in zip(photos, made)}
        self._following = True
        self.layer.updateExtents()
        self.layer.triggerRepaint()

    def _feature(self, photo: Photo) -> QgsFeature:
        feature = QgsFeature(self.layer.fields())
        feature.setGeometry(QgsGeometry(QgsPoint(photo.lon, photo.lat, photo.altitude_m or 0.0)))
        path = PurePath(photo.path)
        taken = QDateTime.fromString(photo.taken_at or "", Qt.DateFormat.ISODate)
        values = {
            "photo": photo.path,
            "filename": path.stem,
            "directory": str(path.parent),
            "altitude": NULL if photo.altitude_m is None else photo.altitude_m,
            "direction": NULL if photo.heading_deg is None else photo.heading_deg,
            "longitude": repr(photo.lon),
            "latitude": repr(photo.lat),
            "timestamp": taken if taken.isValid() else NULL,
            "notes": "\n".join(photo.notes),
            "thumbnail": PurePath(photo.thumbnail).as_posix() if photo.thumbnail else "",
            **{name: getattr(photo, name) for name in
               ("rotation", "kind", "width", "height", "hfov_deg", "vfov_deg", "camera")},
        }  # fmt: skip
        feature.setAttributes([values[name] for name, _ in FIELDS])
        return feature

    def _selected(self, *_) -> None:
        if self._following and self.layer is not None:
            ids = set(self.layer.selectedFeatureIds())
            self.picked.emit([path for path, fid in self._ids.items() if fid in ids])

    def _gone(self) -> None:
        self.layer, self._ids = None, {}
        self.shown.emit(False)
