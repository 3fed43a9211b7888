"""A page of the Locate tab that runs something and shows how far it is, without leaving the tab."""

from __future__ import annotations

from ..form_page import FormPage
from .run_strip import RunStrip


class WorkPage(FormPage):
    """A form page with a strip of progress; one run at a time."""

    strip: RunStrip | None = None

    def _lay_out(self) -> None:
        super()._lay_out()
        self.strip = RunStrip(self._workspace, self)
        self.layout().insertWidget(1, self.strip)
        self.started.connect(self._run_started)
        self.ended.connect(self._strip_ended)

    @property
    def running(self) -> bool:
        """Whether a run of this page is under way."""
        return bool(self._runs)

    def refresh(self) -> None:
        super().refresh()
        self.run_button.setEnabled(self._workspace.banner.engine_ready and not self.running)

    def shut_down(self) -> None:
        super().shut_down()
        self.strip.stop()

    def _run_started(self, run) -> None:
        self.strip.follow(str(run.parameters["OUTPUT"]))
        self.refresh()

    def _strip_ended(self, *_) -> None:
        self.strip.stop()
        self.refresh()
