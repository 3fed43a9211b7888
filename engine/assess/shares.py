"""How many points each stratum gets, from the options of ``engine assess sample``."""

from __future__ import annotations

import re

from engine.assess.population import Census
from engine.assess.requests import SampleRequest
from engine.errors import ParameterError
from engine.events import Reporter
from engine.metrics.allocation import allocate

_LEAST = 50
"""Points that a rare stratum should have (Olofsson et al. 2014, section 5.1: 50 to 100)."""


def code_numbers(text: str, *, option: str, low: float, high: float) -> dict[int, float]:
    """``10=.9,50=.7`` as {10: 0.9, 50: 0.7}; raises ParameterError for anything else, or numbers out of range."""
    found: dict[int, float] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)\s*=\s*(\d*\.?\d+)\s*", part)
        if match is None or int(match[1]) in found:
            raise ParameterError(
                f"{option} {text!r}: {part.strip()!r} is no CODE=NUMBER, or its code stands twice.",
                remedy="Write for example 10=75,50=50.",
            )
        found[int(match[1])] = float(match[2])
        if not low <= float(match[2]) <= high:
            raise ParameterError(f"{option}: {match[2]} for code {match[1]} is not within {low:g} to {high:g}.")
    return found


def share_out(
    request: SampleRequest, census: Census, number: int, expected: dict[int, float], reporter: Reporter
) -> dict[int, int]:
    """Points by stratum code; raises ParameterError where the map has too few pixels or the option makes no sense."""
    codes = list(census.strata)
    pixels = [census.strata[code][0] for code in codes]
    rule = request.allocation.strip().lower()
    if "=" in rule:
        return _explicit(request, census)
    if rule not in ("proportional", "equal", "optimal"):
        raise ParameterError(
            f"--allocation {request.allocation!r} is not known.",
            remedy="Choose proportional, equal or optimal, or write numbers such as 10=75,40=75.",
        )
    if rule == "optimal" and not expected:
        raise ParameterError(
            "--allocation optimal needs the user's accuracy that is expected by class.",
            remedy="Give for example --expected 10=.9,50=.7.",
        )
    if strange := sorted(set(expected) - set(codes)):
        raise ParameterError(
            f"--expected names {', '.join(map(str, strange))}; the strata are {', '.join(map(str, codes))}.",
            remedy="Name codes of the strata.",
        )
    if number > sum(pixels):
        raise ParameterError(
            f"{request.map}: {number} points are wanted, but only {sum(pixels)} pixels have a class.",
            remedy="Ask for fewer points.",
        )
    least = request.min_points
    if least is None:
        least = min(_LEAST, number // (2 * len(codes)))
    try:
        shares = allocate(
            number,
            rule=rule,  # type: ignore[arg-type]
            areas=[census.strata[code][1] for code in codes],
            pixels=pixels,
            least=least,
            accuracies=[expected.get(code, 0.8) for code in codes],
        )
    except ValueError as error:
        raise ParameterError(
            f"{request.map}: {error}.", remedy="Ask for more --points, or lower --min-points."
        ) from error
    wanted = dict(zip(codes, shares, strict=True))
    whole = [code for code in codes if wanted[code] == census.strata[code][0]]
    if whole:
        reporter.warn(
            f"Every pixel of {'stratum' if len(whole) == 1 else 'strata'} {', '.join(map(str, whole))} is in the "
            "sample: there are too few for more points."
        )
    single = [code for code in codes if wanted[code] < 2 and census.strata[code][0] > 1]
    if single:
        reporter.warn(
            f"Fewer than two points in {'stratum' if len(single) == 1 else 'strata'} {', '.join(map(str, single))}: "
            "no interval can be given from them. Ask for more points, or give --min-points."
        )
    return wanted


def _explicit(request: SampleRequest, census: Census) -> dict[int, int]:
    given = code_numbers(request.allocation, option="--allocation", low=0, high=1e6)
    for code, number in given.items():
        if code not in census.strata:
            raise ParameterError(
                f"{request.map}: --allocation names stratum {code}; found {', '.join(map(str, census.strata))}.",
                remedy="Name codes of the strata.",
            )
        if number != int(number):
            raise ParameterError(f"--allocation: {number:g} points for stratum {code} is no whole number.")
        if number > census.strata[code][0]:
            raise ParameterError(
                f"{request.map}: {number:g} points are wanted in stratum {code}, which has {census.strata[code][0]} "
                "pixels.",
                remedy="Ask for fewer there.",
            )
    wanted = {code: int(given.get(code, 0)) for code in census.strata}
    if sum(wanted.values()) < 2:
        raise ParameterError("--allocation asks for fewer than two points.", remedy="Give every stratum some.")
    return wanted
