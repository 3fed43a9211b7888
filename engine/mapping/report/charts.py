"""Charts of a flood report, as PNG."""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.mapping.report.maps import INK, png

_FILL = {"VV": "#7fa7c9", "VH": "#b8a3cf"}
_LINE = "#c2410c"


def draw_histograms(diagnostics: dict[str, Any], *, width_px: int) -> bytes | None:
    """Backscatter histograms of a threshold detector with its thresholds; None when there is none to draw.

    ``diagnostics``: ``histograms`` {pol: {edges_db, counts}} and ``thresholds`` {pol: {value_db, source}}.
    """
    histograms = {
        pol: h
        for pol, h in (diagnostics.get("histograms") or {}).items()
        if h and len(h.get("counts", ())) > 0 and sum(h["counts"]) > 0
    }
    if not histograms:
        return None
    from matplotlib.figure import Figure

    dpi = 160
    figure = Figure(figsize=(width_px / dpi, 0.34 * width_px / dpi), dpi=dpi, facecolor="white")
    thresholds = diagnostics.get("thresholds") or {}
    for number, (pol, histogram) in enumerate(sorted(histograms.items(), reverse=True)):
        axes = figure.add_subplot(1, len(histograms), number + 1)
        edges = np.asarray(histogram["edges_db"], float)
        counts = np.asarray(histogram["counts"], float)
        share = 100 * counts / counts.sum()
        axes.stairs(share, edges, fill=True, color=_FILL.get(pol, "#9fb3bf"))
        axes.set_ylim(0, max(share[1:-1].max() if len(share) > 2 else share.max(), 1e-9) * 1.3)
        value = (thresholds.get(pol) or {}).get("value_db")
        low, high = _core(edges, share)
        axes.set_xlim(low if value is None else min(low, value - 1), high if value is None else max(high, value + 3))
        if value is not None:
            axes.axvline(value, color=_LINE, linewidth=1.2)
            axes.annotate(
                f"{value:.1f} dB",
                (value, 0.97),
                xycoords=("data", "axes fraction"),
                xytext=(3, 0),
                textcoords="offset points",
                fontsize=6.5,
                color=_LINE,
                va="top",
            )
        if number == 0:
            axes.set_ylabel("% of pixels", fontsize=6.5, color=INK)
        axes.set_xlabel(f"{pol}, dB", fontsize=6.5, color=INK)
        axes.tick_params(labelsize=6.5, length=2, width=0.5, colors=INK)
        axes.spines[["top", "right"]].set_visible(False)
        for spine in axes.spines.values():
            spine.set_linewidth(0.5)
    figure.subplots_adjust(left=0.09, right=0.99, top=0.97, bottom=0.22, wspace=0.16)
    return png(figure)


def _core(edges: np.ndarray, share: np.ndarray) -> tuple[float, float]:
    """The range that holds all but 0.1 % at each end."""
    total = np.cumsum(share)
    first = int(np.searchsorted(total, 0.1))
    last = int(np.searchsorted(total, 99.9))
    return float(edges[max(first - 1, 0)]), float(edges[min(last + 2, len(edges) - 1)])
