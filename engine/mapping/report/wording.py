"""Numbers, dates and names as a reader of a report wants them."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import Any

_THIN = "\u202f"  # narrow no-break space between thousands


def area_text(square_metres: float | None) -> str:
    """``12.3 km²``, ``45.6 ha`` under one km², ``820 m²`` under one hectare; "unknown" for None."""
    if square_metres is None or not math.isfinite(square_metres):
        return "unknown"
    if square_metres == 0:
        return "0 km²"
    for unit, size, least in (("km²", 1e6, 1e6), ("ha", 1e4, 1e4), ("m²", 1.0, 0.0)):
        if square_metres >= least * 0.9995:
            return f"{number_text(square_metres / size)}\u00a0{unit}"
    return f"{square_metres:g}\u00a0m²"


def number_text(value: float) -> str:
    """Three significant digits up to 1000, whole numbers with thin spaces above: ``1.23``, ``45.6``, ``12 345``."""
    size = abs(value)
    decimals = 0 if size >= 99.95 else 1 if size >= 9.995 else 2
    return f"{value:,.{decimals}f}".replace(",", _THIN)


def percent_text(percent: float | None) -> str:
    """``97 %``, ``0.4 %``; never 100 or 0 by rounding alone; "unknown" for None."""
    if percent is None or not math.isfinite(percent):
        return "unknown"
    if 0 < percent < 0.1:
        return "<\u00a00.1\u00a0%"
    if 99.9 < percent < 100:
        return ">\u00a099.9\u00a0%"
    text = f"{percent:.0f}" if percent in (0, 100) else f"{percent:.1f}"
    return f"{text}\u00a0%"


def time_text(iso: str | None) -> str | None:
    """``2021-06-17 05:27 UTC`` of an ISO 8601 time, the date alone of a date; what cannot be read stays as it is."""
    if not iso:
        return None
    try:
        moment = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    except ValueError:
        return iso
    if len(iso) <= 10:
        return f"{moment:%Y-%m-%d}"
    if moment.tzinfo is not None:
        moment = moment.astimezone(timezone.utc)
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def days_text(days: int | None) -> str:
    """``12 days earlier``, ``the same day``, ``3 days later``; empty for None."""
    if days is None:
        return ""
    if days == 0:
        return "the same day"
    unit = "day" if abs(days) == 1 else "days"
    return f"{abs(days)} {unit} {'earlier' if days > 0 else 'later'}"


def seconds_text(seconds: float | None) -> str:
    """``4.2 s``, ``3 min 05 s``, ``1 h 12 min``; "unknown" for None."""
    if seconds is None:
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}\u00a0min {rest:02d}\u00a0s"
    return f"{minutes // 60}\u00a0h {minutes % 60:02d}\u00a0min"


def value_text(value: Any) -> str:
    """A parameter's value: "yes", "no", "not given", or the value itself."""
    if value is None:
        return "not given"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(value_text(v) for v in value)
    return str(value)


def digest_text(sha256: str | None) -> str:
    """The first twelve digits of a digest."""
    return f"{sha256[:12]}…" if sha256 else "none (remote, or not a file)"


def method_text(method: str, why: str | None) -> str:
    """How water was found, and ``why`` the method auto took it."""
    thresholds, _, model = method.partition("+")
    if model:
        text = f"{thresholds.capitalize()}s of backscatter and the model {model} together"
    else:
        text = "Thresholds of backscatter, no model" if method == "threshold" else f"Model {method}"
    return f"{text}{f', taken since {why}' if why else ''}."
