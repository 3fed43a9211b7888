"""The cone on the map that shows which way one looks, and that can be turned."""

from __future__ import annotations

import math

from qgis.core import QgsCoordinateReferenceSystem, QgsCsException, QgsPointXY
from qgis.gui import QgsMapCanvas, QgsMapCanvasItem
from qgis.PyQt.QtCore import QEvent, QObject, QPointF, QRectF, Qt, pyqtSignal
from qgis.PyQt.QtGui import QBrush, QColor, QCursor, QPainter, QPainterPath, QPen, QRadialGradient

from .map_place import MapPlace

RADIUS = 78.0
"""Pixels from the place to the rim."""
_GRIP = 7.0
_NEAR = 6.0  # pixels around grip and rim that still hold


class ViewCone(QObject):
    """A cone at a place of the map. It is turned by pulling the dot on its rim or the rim itself; :attr:`turned`
    carries the azimuth, in degrees clockwise from true north. The map tool in use stays what it is, and what lies
    under the cone's foot can still be clicked."""

    turned = pyqtSignal(float)

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self._canvas = canvas
        self._item = _ConeItem(canvas)
        self._place: MapPlace | None = None
        self._pulled = False
        self._pointer: QCursor | None = None  # the map tool's, while the cone's is shown
        canvas.mapToolSet.connect(self._tool_set)
        canvas.viewport().installEventFilter(self)
        canvas.destinationCrsChanged.connect(self._item.refresh)

    @property
    def visible(self) -> bool:
        """Whether it is on the map."""
        return self._place is not None

    @property
    def azimuth_deg(self) -> float:
        """Where it points."""
        return self._item.azimuth

    def show(self, point: QgsPointXY, crs: QgsCoordinateReferenceSystem, azimuth: float, fov: float) -> None:
        """Put it at a point of ``crs``, turned to ``azimuth`` and ``fov`` degrees wide. A place that cannot be brought
        to the map hides it."""
        try:
            self._place = MapPlace(self._canvas, point, crs)
        except QgsCsException:
            self.hide()
            return
        self._item.set(self._place, azimuth % 360.0, min(max(fov, 2.0), 359.0))

    def hide(self) -> None:
        """Take it off the map."""
        self._place = None
        self._let_go()
        self._item.set(None, 0.0, 0.0)

    def remove(self) -> None:
        """Take it off the canvas for good."""
        self.hide()
        self._canvas.viewport().removeEventFilter(self)
        self._canvas.mapToolSet.disconnect(self._tool_set)
        self._canvas.destinationCrsChanged.disconnect(self._item.refresh)
        self._canvas.scene().removeItem(self._item)

    def eventFilter(self, watched, event):
        if self._place is None:
            return False
        kind = event.type()
        if kind == QEvent.Type.MouseButtonPress and event.button() == Qt.MouseButton.LeftButton:
            if self._item.holds(QPointF(event.pos())):
                self._hover(True)
                self._pulled = True
                self._canvas.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
                return True
        elif kind == QEvent.Type.MouseMove:
            if self._pulled:
                self._turn(QPointF(event.pos()))
                return True
            self._hover(self._item.holds(QPointF(event.pos())))
        elif kind == QEvent.Type.MouseButtonRelease and self._pulled:
            self._let_go()
            return True
        elif kind == QEvent.Type.Leave and not self._pulled:
            self._hover(False)
        return False

    def _turn(self, pixel: QPointF) -> None:
        try:
            azimuth = self._place.azimuth(pixel)
        except QgsCsException:
            return  # the pointer is outside the world
        self._item.set(self._place, azimuth, self._item.fov)
        self.turned.emit(azimuth)

    def _hover(self, over: bool) -> None:
        viewport = self._canvas.viewport()
        if over and self._pointer is None:
            self._pointer = QCursor(viewport.cursor())
            viewport.setCursor(Qt.CursorShape.OpenHandCursor)
        elif not over and self._pointer is not None:
            viewport.setCursor(self._pointer)  # the map tool's own
            self._pointer = None

    def _let_go(self) -> None:
        self._pulled = False
        self._hover(False)

    def _tool_set(self, *_tools) -> None:
        self._pointer = None  # the new tool has set its own


class _ConeItem(QgsMapCanvasItem):
    """Draws the cone; as large on the screen at any scale of the map."""

    def __init__(self, canvas: QgsMapCanvas) -> None:
        super().__init__(canvas)
        self.azimuth = self.fov = 0.0
        self._place: MapPlace | None = None
        self._origin, self._rim, self._middle = QPointF(), [], QPointF()
        self.setZValue(190)
        self.hide()

    def set(self, place: MapPlace | None, azimuth: float, fov: float) -> None:
        """Where it stands and looks; None hides it."""
        self._place, self.azimuth, self.fov = place, azimuth, fov
        self.refresh()

    def refresh(self) -> None:
        """Lay it out anew: it or the map has changed."""
        self.prepareGeometryChange()
        try:
            self._lay_out()
        except QgsCsException:
            self._rim = []
        self.setVisible(bool(self._rim))
        self.update()

    def _lay_out(self) -> None:
        self._rim = []
        if self._place is None:
            return
        self._origin = self.toCanvasCoordinates(self._place.map_point())  # follows a map that is being panned
        steps = max(2, math.ceil(self.fov / 4))
        azimuths = [self.azimuth + self.fov * (k / steps - 0.5) for k in range(steps + 1)]
        rim = [self._place.direction(azimuth) for azimuth in azimuths]
        ahead = self._place.direction(self.azimuth)
        self._rim = [QPointF(right * RADIUS, down * RADIUS) for right, down in rim]
        self._middle = QPointF(ahead[0] * RADIUS, ahead[1] * RADIUS)
        self.setPos(self._origin)

    def holds(self, pixel: QPointF) -> bool:
        """Whether a press there pulls the cone: near its dot or its rim."""
        if not self._rim:
            return False
        off = pixel - self._origin
        near = _GRIP + _NEAR
        if math.hypot(off.x() - self._middle.x(), off.y() - self._middle.y()) <= near:
            return True
        reach = math.hypot(off.x(), off.y())
        return abs(reach - RADIUS) <= _NEAR and any(
            math.hypot(off.x() - at.x(), off.y() - at.y()) <= near for at in self._rim
        )

    def updatePosition(self):
        self.refresh()

    def boundingRect(self):
        reach = RADIUS + _GRIP + 4
        return QRectF(-reach, -reach, 2 * reach, 2 * reach)

    def paint(self, painter, *_):
        if not self._rim:
            return
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        path = QPainterPath(QPointF(0, 0))
        for place in self._rim:
            path.lineTo(place)
        path.closeSubpath()
        fill = QRadialGradient(QPointF(0, 0), RADIUS)
        fill.setColorAt(0.0, QColor(255, 230, 0, 120))
        fill.setColorAt(1.0, QColor(255, 230, 0, 35))
        painter.setBrush(QBrush(fill))
        painter.setPen(QPen(QColor(0, 0, 0, 190), 3))
        painter.drawPath(path)
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor("#ffe600"), 1.4))
        painter.drawPath(path)
        painter.setPen(QPen(QColor(0, 0, 0, 220), 1.5))
        painter.setBrush(QColor("#ffe600"))
        painter.drawEllipse(QPointF(0, 0), 4, 4)
        painter.setBrush(QColor(255, 255, 255))
        painter.drawEllipse(self._middle, _GRIP, _GRIP)
