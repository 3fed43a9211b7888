"""Map pictures with graticule, scale bar and north arrow, as PNG; matplotlib's object interface only."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.raster.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1b2a35"
_QUIET = "#5c6b75"
_STEPS = (1.0, 2.0, 5.0)


def draw_map(picture: NDArray[np.uint8], grid: Grid, *, width_px: int) -> bytes:
    """PNG of ``picture`` (rows, columns, 3) on ``grid`` (same size) with a frame, ``width_px`` wide in all.

    Around it stand longitudes and latitudes where a CRS is known, pixel counts elsewhere; inside it a scale bar and,
    with a CRS, an arrow to true north.
    """
    from matplotlib.figure import Figure

    rows, cols = picture.shape[:2]
    dpi = 160
    width = width_px / dpi
    left, right, top, bottom = 0.46, 0.06, 0.06, 0.26
    inner = width - left - right
    tall = min(inner * rows / cols, inner * 1.6)
    wide = tall * cols / rows
    figure = Figure(figsize=(width, tall + top + bottom), dpi=dpi, facecolor="white")
    height = tall + top + bottom
    axes = figure.add_axes((left / width + (inner - wide) / 2 / width, bottom / height, wide / width, tall / height))
    dense = cols > wide * dpi
    axes.imshow(picture, extent=(0, cols, rows, 0), aspect="auto", interpolation="antialiased" if dense else "nearest")
    axes.set_xlim(0, cols)
    axes.set_ylim(rows, 0)
    for spine in axes.spines.values():
        spine.set_color(_QUIET)
        spine.set_linewidth(0.6)
    axes.tick_params(length=2.5, width=0.5, color=_QUIET, labelcolor=_QUIET, labelsize=6.5, pad=2)
    mesh = _lonlat_mesh(grid)
    if mesh is not None:
        _graticule(axes, mesh)
        _north_arrow(axes, mesh, wide / cols)
    else:
        axes.locator_params(nbins=4)
    _scale_bar(axes, _metres_per_pixel(mesh), wide / cols)
    return png(figure)


def png(figure: Figure) -> bytes:
    """The figure as PNG, colours exact."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    stream = io.BytesIO()
    pixels = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    # Drawn maps come out smaller than at the usual 6, in half the time.
    Image.fromarray(pixels).save(stream, "PNG", compress_level=3)
    return stream.getvalue()


class _Mesh:
    """Longitudes (unwrapped over the antimeridian) and latitudes on a coarse lattice of pixel places."""

    def __init__(self, rows: NDArray[Any], cols: NDArray[Any], lon: NDArray[Any], lat: NDArray[Any]) -> None:
        self.rows, self.cols, self.lon, self.lat = rows, cols, lon, lat


def _lonlat_mesh(grid: Grid) -> _Mesh | None:
    """None without a CRS, and where the CRS cannot be told in degrees."""
    if grid.crs is None:
        return None
    import pyproj

    rows, cols = np.linspace(0, grid.height, 41), np.linspace(0, grid.width, 41)
    c, r = np.meshgrid(cols, rows)
    t = grid.transform
    x, y = t.a * c + t.b * r + t.c, t.d * c + t.e * r + t.f
    try:
        change = pyproj.Transformer.from_crs(grid.crs.to_wkt(), "EPSG:4326", always_xy=True)
    except pyproj.exceptions.ProjError:
        return None  # an engineering or local CRS: there is no longitude
    lon, lat = change.transform(x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return None
    lon = np.unwrap(np.unwrap(lon, period=360, axis=1), period=360, axis=0)
    return _Mesh(rows, cols, lon, lat)


def _nice_step(span: float, parts: int) -> float:
    raw = span / parts
    if raw <= 0 or not math.isfinite(raw):
        return 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    return next((s * power for s in (*_STEPS, 10.0) if s * power >= raw), 10 * power)


def _graticule(axes: Axes, mesh: _Mesh) -> None:
    for values, edge, along, ends in (
        (mesh.lon, mesh.lon[-1], mesh.cols, "EW"),
        (mesh.lat, mesh.lat[:, 0], mesh.rows, "NS"),
    ):
        step = _nice_step(float(np.ptp(edge)), 3)
        first, last = math.ceil(float(values.min()) / step), math.floor(float(values.max()) / step)
        levels = [step * k for k in range(first, last + 1)][:40]
        if levels and np.ptp(values) > 0:
            axes.contour(mesh.cols, mesh.rows, values, levels=levels, colors="white", linewidths=0.5, alpha=0.55)
        ordered = edge if edge[-1] >= edge[0] else edge[::-1]
        places = along if edge[-1] >= edge[0] else along[::-1]
        shown = [v for v in levels if ordered[0] <= v <= ordered[-1]]
        at = np.interp(shown, ordered, places) if shown else np.zeros(0)
        names = [_degrees(v, step, ends) for v in shown]
        if ends == "EW":
            axes.set_xticks(at, names)
        else:
            axes.set_yticks(at, names, rotation=90, va="center")


def _degrees(value: float, step: float, ends: str) -> str:
    if ends == "EW":
        value = (value + 180) % 360 - 180
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    side = "" if round(value, decimals) == 0 else ends[0] if value > 0 else ends[1]
    return f"{abs(value):.{decimals}f}°{side}"


def _metres_per_pixel(mesh: _Mesh | None) -> float | None:
    """Geodesic metres a pixel along the row through the middle."""
    if mesh is None:
        return None
    import pyproj

    k = len(mesh.rows) // 2
    a, b = len(mesh.cols) // 2 - 5, len(mesh.cols) // 2 + 5
    lon, lat = mesh.lon[k], mesh.lat[k]
    if max(abs(lat[a]), abs(lat[b])) > 90:
        return None
    _, _, distance = pyproj.Geod(ellps="WGS84").inv(lon[a], lat[a], lon[b], lat[b])
    pixels = mesh.cols[b] - mesh.cols[a]
    return float(distance / pixels) if distance > 0 else None


def _halo() -> list[Any]:
    from matplotlib import patheffects

    return [patheffects.withStroke(linewidth=2.2, foreground="white")]


def _plate(axes: Axes, x: float, y: float, width: float, height: float) -> None:
    """A light ground under scale bar and arrow, so that they stand out from dark water."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle((x, y), width, height, facecolor="white", alpha=0.72, linewidth=0))


def _scale_bar(axes: Axes, metres: float | None, inches: float) -> None:
    """A bar of a round length, about a fifth of the map wide, in the lower left corner; in pixels without a CRS."""
    cols, rows = axes.get_xlim()[1], axes.get_ylim()[0]
    unit = metres or 1.0
    wanted = 0.22 * cols * unit
    power = 10.0 ** math.floor(math.log10(wanted))
    length = max((s * power for s in _STEPS if s * power <= wanted), default=power)
    text = f"{length:g} pixels" if metres is None else f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    pad = 0.12 / inches
    x, y, thick = pad, rows - pad, 0.035 / inches
    from matplotlib.patches import Rectangle

    span = length / unit
    _plate(axes, x - 0.4 * pad, y - 5 * thick, span + 0.8 * pad, 5 * thick + 0.4 * pad)
    for share, color in ((0.0, INK), (0.5, "white")):
        axes.add_patch(
            Rectangle((x + share * span, y - thick), span / 2, thick, facecolor=color, edgecolor=INK, linewidth=0.5)
        )
    axes.text(x, y - 2 * thick, text, fontsize=6.5, color=INK, va="bottom", ha="left", path_effects=_halo())


def _north_arrow(axes: Axes, mesh: _Mesh, inches: float) -> None:
    """An arrow along the growing latitude in the middle of the map."""
    k, m = len(mesh.rows) // 2, len(mesh.cols) // 2
    spacing_r, spacing_c = mesh.rows[1] - mesh.rows[0], mesh.cols[1] - mesh.cols[0]
    scale = math.cos(math.radians(float(mesh.lat[k, m])))
    # Direction in pixels along which latitude grows and longitude stays.
    to_geo = np.array(
        [
            [(mesh.lon[k, m + 1] - mesh.lon[k, m - 1]) * scale / (2 * spacing_c),
             (mesh.lon[k + 1, m] - mesh.lon[k - 1, m]) * scale / (2 * spacing_r)],
            [(mesh.lat[k, m + 1] - mesh.lat[k, m - 1]) / (2 * spacing_c),
             (mesh.lat[k + 1, m] - mesh.lat[k - 1, m]) / (2 * spacing_r)],
        ]
    )  # fmt: skip
    if abs(np.linalg.det(to_geo)) < 1e-18:
        return
    direction = np.linalg.solve(to_geo, np.array([0.0, 1.0]))
    direction /= np.hypot(*direction)
    size = 0.3 / inches
    cols = axes.get_xlim()[1]
    centre = np.array([cols - 0.8 * size, 1.15 * size])
    _plate(axes, centre[0] - 0.55 * size, centre[1] - 0.85 * size, 1.1 * size, 1.7 * size)
    tail, tip = centre - direction * size / 2, centre + direction * size / 2
    axes.annotate(
        "",
        xy=tuple(tip),
        xytext=tuple(tail),
        arrowprops={
            "arrowstyle": "-|>",
            "color": INK,
            "linewidth": 1.1,
            "path_effects": _halo(),
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )
    x, y = (float(v) for v in tip + direction * 0.24 * size)
    axes.text(x, y, "N", fontsize=7.5, weight="bold", color=INK, ha="center", va="center", path_effects=_halo())
