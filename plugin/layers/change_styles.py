"""The styles of a change between two land-cover maps."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsGraduatedSymbolRenderer,
    QgsMapLayer,
    QgsRasterLayer,
    QgsRendererRange,
    QgsSingleSymbolRenderer,
    QgsVectorLayer,
)

from .palette import area_breaks, label_settings, outline, set_aliases, set_labels, set_palette
from .product import Result

MOST_ROWS = 20
"""More kinds of change than this would make a legend that nobody reads."""
_OTHER_COLOR = "#78543c"
_KM2 = '"changed_m2" / 1e6'
_ZONE_COLORS = ("#868e96", "#cbc9e2", "#9e9ac8", "#756bb1", "#54278f")
_ALIASES = {
    "zone_id": "Zone",
    "compared_m2": "Compared (m²)",
    "changed_m2": "Changed (m²)",
    "changed_percent": "Changed (% of what was compared)",
    "compared_percent": "Compared (% of the zone)",
    "largest_change": "Largest change",
    "largest_change_m2": "Largest change (m²)",
    "from_code": "From (code)",
    "from_name": "From",
    "to_code": "To (code)",
    "to_name": "To",
    "pixels": "Pixels",
    "area_m2": "Area (m²)",
}


def legend_entries(result: Result) -> list[tuple[int, str, str]]:
    """(value, name, colour) of the changes that occur, by the class that came, the one that gained most first.

    The colour is that of the class that came with some of the one that went, as in the file. Beyond the largest
    :data:`MOST_ROWS` changes all have one colour and one name; the names of the rest are empty.
    """
    figures = result.get("figures", {})
    colors = {row["code"]: row["color"] for row in figures.get("classes") or []}
    rows = [row for row in figures.get("transitions") or [] if row.get("pixels", 1)]
    rows.sort(key=lambda row: -row["area_m2"])
    large, small = (rows, []) if len(rows) <= MOST_ROWS else (rows[: MOST_ROWS - 1], rows[MOST_ROWS - 1 :])
    gains: dict[int, float] = {}
    for row in large:
        gains[row["to_code"]] = gains.get(row["to_code"], 0.0) + row["area_m2"]
    large.sort(key=lambda row: (-gains[row["to_code"]], row["to_code"], -row["area_m2"]))
    entries = [
        (
            int(row["code"]),
            f"{row['name']} ({area_text(row['area_m2'])})",
            _mixed(colors, row["from_code"], row["to_code"]),
        )
        for row in large
    ]
    rest = f"{len(small)} smaller changes ({area_text(sum(row['area_m2'] for row in small))})"
    entries += [(int(row["code"]), "" if number else rest, _OTHER_COLOR) for number, row in enumerate(small)]
    return entries


def style_change(layer: QgsRasterLayer, result: Result) -> None:
    """What became what; no change is not drawn."""
    set_palette(layer, legend_entries(result))


def style_zones(layer: QgsVectorLayer, result: Result) -> None:
    """Outlines graded and labelled by changed area."""
    zones = result.get("figures", {}).get("zones") or []
    breaks = area_breaks([row["changed_m2"] for row in zones if row.get("changed_m2") is not None])
    ranges = []
    for number, (low, high) in enumerate(zip(breaks, breaks[1:])):
        color = _ZONE_COLORS[round(number * (len(_ZONE_COLORS) - 1) / max(1, len(breaks) - 2))]
        ranges.append(QgsRendererRange(low, high, outline(color, 0.6), f"{low:.2f} – {high:.2f} km² changed"))
    plain = QgsSingleSymbolRenderer(outline("#495057", 0.6))
    layer.setRenderer(QgsGraduatedSymbolRenderer(_KM2, ranges) if ranges else plain)
    share = "coalesce(' (' || format_number(\"changed_percent\", 1) || ' %)', '')"
    set_labels(layer, label_settings(f"\"zone_id\" || '\\n' || format_number({_KM2}, 2) || ' km²' || {share}"))
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression(f"\"zone_id\" || ', ' || format_number({_KM2}, 2) || ' km² changed'")
    layer.setMapTipTemplate(
        f'<b>[% "zone_id" %]</b><br>changed [% format_number({_KM2}, 2) %] km²<br>'
        "[% coalesce('most: ' || \"largest_change\", 'no change') %]"
    )


def style_matrix(layer: QgsMapLayer, result: Result) -> None:
    """A table without a map: names of its fields."""
    set_aliases(layer, _ALIASES)
    layer.setDisplayExpression('"from_name" || \' → \' || "to_name"')


def area_text(area_m2: float) -> str:
    """An area in the unit that suits it: km², ha, m²."""
    if area_m2 >= 1e8:
        return f"{area_m2 / 1e6:.0f} km²"
    if area_m2 >= 1e6:
        return f"{area_m2 / 1e6:.2f} km²"
    return f"{area_m2 / 1e4:.1f} ha" if area_m2 >= 1e3 else f"{area_m2:.0f} m²"


def _mixed(colors: dict[int, str], before: int, after: int) -> str:
    """The engine's colour of a change: mostly that of the class after, with some of that before."""
    parts: list[Any] = []
    for place in (1, 3, 5):
        was, to = (int(colors.get(code, "#8a949b")[place : place + 2], 16) for code in (before, after))
        parts.append(round(0.72 * to + 0.28 * was))
    return "#{:02x}{:02x}{:02x}".format(*parts)
