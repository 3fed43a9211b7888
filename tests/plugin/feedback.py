"""What a dialog would show of a run, kept for tests."""

from __future__ import annotations

from qgis.core import QgsProcessingFeedback


class Feedback(QgsProcessingFeedback):
    """Keeps the lines that a dialog would show, commands and errors among them."""

    def __init__(self) -> None:
        super().__init__(False)
        self.lines: list[str] = []

    def pushCommandInfo(self, line):
        self.lines.append(line)

    def pushInfo(self, line):
        self.lines.append(line)

    def pushWarning(self, line):
        self.lines.append(line)

    def reportError(self, line, fatalError=False):
        self.lines.append(line)
