"""The Accuracy tab: draw a sample, label it, and report accuracy and areas."""

from __future__ import annotations

from typing import Any

from qgis.PyQt.QtWidgets import QWidget

from .form_page import FormPage
from .label_page import LabelPage
from .paged_tab import PagedTab
from .report_form import ReportForm
from .sample_form import SampleForm
from .workspace import Workspace


class AccuracyTab(PagedTab):
    """Pages ``sample``, ``label`` and ``report``, in the order of the work."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self.add_page("sample", self.tr("1 Sample"), self._make_sample, self.tr("Draw points on a map at random"))
        self.add_page("label", self.tr("2 Label"), self._make_label, self.tr("Say what is really there"))
        self.add_page("report", self.tr("3 Report"), self._make_report, self.tr("Accuracy of the map, and areas"))
        self.turned.connect(self._turned)

    @property
    def sample(self) -> FormPage:
        """The page that draws points."""
        return self.page("sample")

    @property
    def label(self) -> LabelPage:
        """The page on which points are labelled."""
        return self.page("label")

    @property
    def report(self) -> FormPage:
        """The page that reports accuracy and areas."""
        return self.page("report")

    def fill(self, given: dict[str, Any]) -> None:
        """Take over a map (``source``) from another tab."""
        self.turn_to("sample")
        self.sample.form.map.restore(str(given.get("source") or ""))

    def _make_sample(self) -> FormPage:
        page = FormPage(
            SampleForm(self._workspace.canvas),
            self._workspace,
            algorithm="samescene:sample_points",
            action=self.tr("Draw the points"),
            tip=self.tr("Draws the points in the background; labelling comes next"),
            show_runs=False,
        )
        page.started.connect(lambda run: page.say(self.tr("Drawing the points…"), "mActionRefresh.svg"))
        page.ended.connect(self._sampled)
        return page

    def _make_label(self) -> LabelPage:
        page = LabelPage(self._workspace)
        page.progressed.connect(lambda folder: self.report.form.use(folder))
        return page

    def _make_report(self) -> FormPage:
        page = FormPage(
            ReportForm(),
            self._workspace,
            algorithm="samescene:accuracy",
            action=self.tr("Make the report"),
            tip=self.tr("Error matrix, accuracies and error-adjusted areas with 95 % intervals"),
            show_runs=False,
        )
        page.started.connect(lambda run: page.say(self.tr("At work…"), "mActionRefresh.svg"))
        page.ended.connect(self._reported)
        if self.label.folder and not page.form.folder.filePath():
            page.form.use(self.label.folder)
        return page

    def _turned(self, name: str) -> None:
        if name == "report" and self.label.panel.active:
            self.report.form.use(self.label.folder)  # how far the labels are by now

    def _sampled(self, _run, successful: bool, outputs: dict) -> None:
        self.sample.say("")
        if successful:
            folder = str(outputs["OUTPUT"])
            self._workspace.runs.load(folder)
            self.label.use(folder)
            self.report.form.use(folder)
            self.turn_to("label")

    def _reported(self, run, successful: bool, outputs: dict) -> None:
        self.report.say("")
        if not successful:
            return
        low, high = outputs.get("OVERALL_LOW"), outputs.get("OVERALL_HIGH")
        if outputs.get("OVERALL_ACCURACY") is not None:
            text = self.tr("Overall accuracy {:.1%}").format(outputs["OVERALL_ACCURACY"])
            if low is not None and high is not None:
                text += self.tr(" (95 % interval {:.1%} to {:.1%})").format(low, high)
            self.report.say(self.tr("{}; the report has the rest.").format(text), "mIconSuccess.svg")
        if outputs.get("REPORT"):
            self._workspace.open(str(outputs["REPORT"]))
