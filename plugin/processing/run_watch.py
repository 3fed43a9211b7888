"""What goes on between a run of the engine and those who follow it."""

from __future__ import annotations

from qgis.core import QgsProcessingFeedback

from ..engine_client.runs import RunRegistry


class RunWatch:
    """Passes what the engine tells on to the dialog and the list of runs, and the user's cancel of either back."""

    def __init__(self, registry: RunRegistry, run_id: str, feedback: QgsProcessingFeedback) -> None:
        self._registry, self._run_id, self._feedback = registry, run_id, feedback
        self._stage = ""
        self._low, self._high = 0.0, 1.0

    def part(self, low: float, high: float) -> None:
        """What is told from now on is this part (0 to 1) of the run."""
        self._low, self._high = low, high

    def progress(self, fraction: float, stage: str, message: str) -> None:
        """How far the part is; the dialog's text follows the stage."""
        fraction = self._low + fraction * (self._high - self._low)
        self._feedback.setProgress(100 * fraction)
        if stage != self._stage:
            self._stage = stage
            self._feedback.setProgressText(message or stage)
        self._registry.progress(self._run_id, fraction, stage, message)

    def log(self, level: str, line: str) -> None:
        """One line; level info or warning."""
        if level == "warning":
            self._feedback.pushWarning(line)
        else:
            self._feedback.pushInfo(line)
        self._registry.log(self._run_id, level, line)

    def is_cancelled(self) -> bool:
        """Whether the user asked to stop, in the dialog or in the list of runs."""
        if self._registry.cancel_requested(self._run_id) and not self._feedback.isCanceled():
            self._feedback.cancel()
        return self._feedback.isCanceled()
