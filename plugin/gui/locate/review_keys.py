"""The keys of the review: which key means what."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt

NEXT, PREVIOUS, ACCEPT, REJECT, PROPOSE, SCORE, LEFT, RIGHT = (
    "next", "previous", "accept", "reject", "propose", "score", "left", "right",
)  # fmt: skip
KEYS = {
    Qt.Key.Key_N: NEXT,
    Qt.Key.Key_P: PREVIOUS,
    Qt.Key.Key_A: ACCEPT,
    Qt.Key.Key_R: REJECT,
    Qt.Key.Key_C: PROPOSE,
    Qt.Key.Key_S: SCORE,
    Qt.Key.Key_BracketLeft: LEFT,
    Qt.Key.Key_BracketRight: RIGHT,
    Qt.Key.Key_Comma: LEFT,
    Qt.Key.Key_Period: RIGHT,
}
"""Comma and full stop turn too: brackets need two keys on many keyboards."""
NAMES = {NEXT: "N", PREVIOUS: "P", ACCEPT: "A", REJECT: "R", PROPOSE: "C", SCORE: "S"}


def meaning(event) -> str | None:
    """What a key press means; None for one that is not ours."""
    held = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    if held not in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier):
        return None
    return KEYS.get(event.key())
