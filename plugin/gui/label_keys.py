"""The keys of the labelling panel: which key means what, and an event filter that hears them on map and panel."""

from __future__ import annotations

from collections.abc import Callable

from qgis.PyQt.QtCore import QEvent, QObject, Qt

CLASS_KEYS = "1234567890" + "abcdefghijklm" + "opqrst" + "vwxyz"
"""Keys of the classes, in the legend's order; n and u are kept for note and not sure."""
BACK, FORWARD, SKIP, UNDO, UNSURE, NOTE, STOP = "back", "forward", "skip", "undo", "unsure", "note", "stop"
KEY_NAMES = {SKIP: "Space", BACK: "Backspace", UNDO: "Ctrl+Z", UNSURE: "U", NOTE: "N"}


def meaning(event, classes: int) -> str | int | None:
    """What a key press means: the place of a class in the legend, a command, or None for a key that is not ours."""
    held = event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
    key = event.key()
    if held == Qt.KeyboardModifier.ControlModifier:
        return UNDO if key == Qt.Key.Key_Z else None
    if held not in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier):
        return None
    commands = {
        Qt.Key.Key_Space: SKIP,
        Qt.Key.Key_Backspace: BACK,
        Qt.Key.Key_PageUp: BACK,
        Qt.Key.Key_PageDown: FORWARD,
        Qt.Key.Key_U: UNSURE,
        Qt.Key.Key_Question: UNSURE,
        Qt.Key.Key_N: NOTE,
        Qt.Key.Key_Escape: STOP,
    }
    if key in commands:
        return commands[key]
    text = event.text().lower()
    place = CLASS_KEYS.find(text) if len(text) == 1 else -1
    return place if 0 <= place < classes else None


class KeyFilter(QObject):
    """Installed on widgets; ``take(event)`` answers whether it used a key press, which then goes no further."""

    def __init__(self, wants: Callable, take: Callable, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._wants, self._take = wants, take

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.ShortcutOverride and self._wants(event):
            event.accept()  # else a shortcut of QGIS of the same letter would have it
            return True
        if event.type() == QEvent.Type.KeyPress:
            return bool(self._take(event))
        return False
