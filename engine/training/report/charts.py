"""Curves of a run and pictures of samples, as PNG."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

INK, QUIET, LINES = "#1b2a35", "#5c6b75", ("#1f4e9e", "#e8590c", "#2f9e44", "#862e9c")

Rgb = NDArray[np.uint8]


def draw_curves(rows: Sequence[dict[str, Any]], names: Sequence[str], *, title: str, log: bool = False) -> bytes | None:
    """The figures ``names`` over the steps of ``rows`` (lines of metrics.jsonl); None with nothing to draw."""
    series = {
        name: [(r["step"], float(r[name])) for r in rows if isinstance(r.get(name), (int, float))] for name in names
    }
    series = {name: values for name, values in series.items() if values}
    if not series:
        return None
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    figure = Figure(figsize=(3.6, 2.1), dpi=160, facecolor="white")
    axes = figure.add_subplot()
    for number, (name, values) in enumerate(series.items()):
        steps, found = zip(*values, strict=True)
        color = LINES[number % len(LINES)]
        dense = len(found) > 40
        axes.plot(steps, found, color=color, linewidth=0.6 if dense else 1.2, alpha=0.35 if dense else 1)
        if dense:
            axes.plot(steps, smooth(found), color=color, linewidth=1.3, label=name)
        else:
            axes.lines[-1].set_label(name)
    drawn = [value for values in series.values() for _, value in values]
    if log and min(drawn) > 0:
        axes.set_yscale("log")
        # Powers of ten alone would leave a decade or two with one number to read, or none.
        narrow = max(drawn) < 100 * min(drawn)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if narrow else (1,), numticks=7))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_title(title, fontsize=7.5, color=INK, loc="left")
    axes.set_xlabel("step", fontsize=6.5, color=QUIET)
    axes.tick_params(labelsize=6, length=2, width=0.5, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    if len(series) > 1:
        axes.legend(fontsize=6, frameon=False)
    figure.subplots_adjust(left=0.14, right=0.98, top=0.89, bottom=0.18)
    return _png(figure)


def _png(figure: Any) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return picture_png(np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3]))


def smooth(values: Sequence[float]) -> NDArray[np.float64]:
    """The running mean over a twentieth of ``values``, shorter at the ends."""
    array = np.asarray(values, np.float64)
    half = max(1, len(array) // 40)
    total = np.concatenate([[0.0], np.cumsum(array)])
    at = np.arange(len(array))
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, len(array))
    return (total[high] - total[low]) / (high - low)


def picture_png(pixels: Rgb) -> bytes:
    """A PNG of (rows, columns, 3) uint8."""
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", optimize=True)
    return stream.getvalue()


def radar_picture(values: NDArray[np.float32], valid: NDArray[np.bool_]) -> Rgb:
    """A grey picture of normalised backscatter (rows, columns): −2…2 standard deviations; not valid is light."""
    grey = np.clip((values + 2) / 4, 0, 1) * 255
    out = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    out[~valid] = 235
    return out


def optical_picture(bands: NDArray[np.float32], valid: NDArray[np.bool_]) -> Rgb:
    """A colour picture of normalised red, green and blue (3, rows, columns)."""
    out = (np.clip((bands + 1.5) / 4.5, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0).copy()
    out[~valid] = 235
    return out


def label_picture(labels: NDArray[np.int64]) -> Rgb:
    """Classes (rows, columns) in colours: 0 sand, 1 blue, none grey."""
    out = np.full((*labels.shape, 3), 200, np.uint8)
    out[labels == 0] = (245, 243, 238)
    out[labels == 1] = (47, 164, 231)
    return out


def class_picture(labels: NDArray[np.int64], colors: Sequence[str]) -> Rgb:
    """Numbers of classes (rows, columns) in ``colors`` (``#rrggbb``), none grey."""
    table = [tuple(int(color[i : i + 2], 16) for i in (1, 3, 5)) for color in colors]
    out = np.full((*labels.shape, 3), 200, np.uint8)
    for number, color in enumerate(table):
        out[labels == number] = color
    return out


def probability_picture(values: NDArray[np.float32]) -> Rgb:
    """0…1 (rows, columns) from white to blue."""
    share = np.clip(values, 0, 1)[..., None]
    low, high = np.array([255, 255, 255]), np.array([26, 82, 160])
    return (low + (high - low) * share).astype(np.uint8)
