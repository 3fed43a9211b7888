"""What a trained model does with each class, as measured on blocks of labels that were held out."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtCore import Qt
from qgis.PyQt.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from .legend_view import swatch

_FIGURES = ("recall", "precision", "iou")


class ClassResults(QWidget):
    """A headline and a row for each class; a class that could not be judged says so."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.headline = QLabel()
        self.headline.setWordWrap(True)
        self.table = QTableWidget(0, 4)
        self.table.setHorizontalHeaderLabels([self.tr("Class"), self.tr("Found"), self.tr("Right"), self.tr("IoU")])
        tips = (
            self.tr("Class of the map"),
            self.tr("Of the labels of this class, how many the map finds (recall, producer's accuracy)"),
            self.tr("Of what the map calls this class, how much is right (precision, user's accuracy)"),
            self.tr("Intersection over union"),
        )
        for column, tip in enumerate(tips):
            self.table.horizontalHeaderItem(column).setToolTip(tip)
        self.table.verticalHeader().hide()
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.table.setAccessibleName(self.tr("Results by class"))
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.headline)
        column.addWidget(self.table)

    def show_figures(self, figures: dict[str, Any]) -> None:
        """Fill in ``figures`` of the run's result.json."""
        overall, miou = figures.get("overall_accuracy"), figures.get("miou")
        text = self.tr("Overall accuracy {} · mean IoU {}").format(_interval(overall), _interval(miou))
        self.headline.setText(
            f"<b>{text}</b><br>" + self.tr("on blocks of your labels that were held out: indicative.")
        )
        classes = [one for one in figures.get("classes") or () if isinstance(one, dict)]
        self.table.setRowCount(len(classes))
        for row, one in enumerate(classes):
            name = QTableWidgetItem(
                swatch(str(one.get("color") or "#808080")), str(one.get("name") or one.get("value"))
            )
            judged = one.get("judged", True)
            name.setToolTip("" if judged else self.tr("Too few places of this class to hold some out"))
            self.table.setItem(row, 0, name)
            for column, key in enumerate(_FIGURES, 1):
                item = QTableWidgetItem(_share(one.get(key)))
                item.setTextAlignment(int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter))
                item.setToolTip(_interval(one.get(key)))
                self.table.setItem(row, column, item)
        rows = min(10, max(1, len(classes)))
        height = self.table.rowHeight(0) if classes else 24
        self.table.setFixedHeight(self.table.horizontalHeader().sizeHint().height() + rows * height + 4)
        self.table.setVisible(bool(classes))


def _value(figure: Any, key: str = "value") -> float | None:
    value = figure.get(key) if isinstance(figure, dict) else figure
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _share(figure: Any) -> str:
    value = _value(figure)
    return "–" if value is None else f"{value:.2f}"


def _interval(figure: Any) -> str:
    value, low, high = _value(figure), _value(figure, "low"), _value(figure, "high")
    if value is None:
        return "–"
    if not isinstance(figure, dict) or low is None or high is None:
        return f"{value:.2f}"
    return f"{value:.2f} ({low:.2f}–{high:.2f})"
