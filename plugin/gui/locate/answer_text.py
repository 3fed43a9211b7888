"""What was found of a photo, in words."""

from __future__ import annotations

from qgis.PyQt.QtCore import QCoreApplication

from ...layers.answers import Answer, Answers
from ...photos.sight import spoken_azimuth


def percent(probability: float) -> str:
    """``"83 %"``; what is not nothing is never 0 %, and what is not certain never 100 %."""
    value = 100 * probability
    if 0 < value < 1:
        return "< 1 %"
    if 99 < value < 100:
        return "> 99 %"
    return f"{value:.0f} %"


def heading_text(heading_deg: float | None) -> str:
    """``"199° SSW"``, or a dash."""
    return spoken_azimuth(heading_deg) if heading_deg is not None else "–"


def short_answer(answer: Answer) -> str:
    """For a list: the probability of the first place, or that there is no match."""
    if not answer.match or answer.best is None:
        return _tr("no match")
    return percent(answer.best.probability)


def told_answer(answer: Answer, answers: Answers) -> str:
    """One or two sentences on what was found of a photo."""
    best = answer.best
    if best is None:
        return _tr("No match in this region: no place was found at all.")
    likely = _tr("{} within {:.0f} m").format(percent(best.probability), best.radius_m)
    if answer.match:
        where = _tr("Likely found: {} of the first place").format(likely)
        if best.heading_deg is not None:
            where += _tr(", looking {}").format(spoken_azimuth(best.heading_deg))
        return where + ". " + _tr("Review it beside the imagery before you rely on it.")
    return _tr(
        "No match in this region: none of its {:,} cells is like this photo beyond doubt (the likeliest: {}). It may "
        "have been taken elsewhere, or the imagery may show another time. The places below are the likeliest of an "
        "unlikely lot."
    ).format(answers.cells, likely)


def summary(answers: Answers) -> str:
    """How many photos were found."""
    found = sum(1 for answer in answers.answers if answer.match)
    count = len(answers.answers)
    if count == 1:
        told = _tr("Found in this region.") if found else _tr("No match in this region.")
    elif not found:
        told = _tr("None of {} photos has a match in this region.").format(count)
    else:
        told = _tr("{} of {} photos have a match in this region.").format(found, count)
    if answers.skipped:
        more = _tr(" (and {} more)").format(len(answers.skipped) - 1) if len(answers.skipped) > 1 else ""
        told += " " + _tr("Not searched: {}{}").format(answers.skipped[0], more)
    return told


def _tr(text: str) -> str:
    return QCoreApplication.translate("SameScene", text)
