"""The Train tab: labels, training, preview; then the whole scene on the Land cover tab."""

from __future__ import annotations

from qgis.PyQt.QtWidgets import QWidget

from .algorithm_run import AlgorithmRun
from .form_page import FormPage
from .paged_tab import PagedTab
from .preview_page import PreviewPage
from .train_form import TrainForm
from .training_page import TrainingPage
from .workspace import Workspace


class TrainTab(PagedTab):
    """Pages ``labels``, ``training`` and ``preview``, in the order of the work."""

    def __init__(self, workspace: Workspace, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._workspace = workspace
        self._run: AlgorithmRun | None = None
        self.add_page("labels", self.tr("1 Labels"), self._make_labels, self.tr("Scenes, labels and their classes"))
        tip = self.tr("The curve, and figures of each class")
        self.add_page("training", self.tr("2 Training"), self._make_training, tip)
        tip = self.tr("What the model makes of a place")
        self.add_page("preview", self.tr("3 Preview"), self._make_preview, tip)

    @property
    def labels(self) -> FormPage:
        """The page of scenes and labels."""
        return self.page("labels")

    @property
    def training(self) -> TrainingPage:
        """The page of a training's curves."""
        return self.page("training")

    @property
    def preview(self) -> PreviewPage:
        """The page that tries a model at a place."""
        return self.page("preview")

    def _make_labels(self) -> FormPage:
        page = FormPage(
            TrainForm(),
            self._workspace,
            algorithm="samescene:train_landcover",
            action=self.tr("Train the model"),
            tip=self.tr("Trains in the background; the next page shows how it goes"),
            show_runs=False,
        )
        page.started.connect(self._started)
        page.ended.connect(self._ended)
        return page

    def _make_training(self) -> TrainingPage:
        page = TrainingPage(self._workspace)
        page.preview_asked.connect(lambda: self.turn_to("preview"))
        return page

    def _make_preview(self) -> PreviewPage:
        page = PreviewPage(self._workspace, self.labels.form.scene_layers)
        page.whole_asked.connect(self._map_whole)
        return page

    def _started(self, run: AlgorithmRun) -> None:
        self._run = run
        self.training.follow(str(run.parameters["OUTPUT"]))
        self.turn_to("training")

    def _ended(self, run: AlgorithmRun, successful: bool, outputs: dict) -> None:
        if run is not self._run:
            return  # an earlier one; the Runs tab has it
        self.training.finish(successful)
        if successful:
            self.preview.use(str(outputs.get("MODEL") or outputs.get("MODEL_FOLDER") or ""))

    def _map_whole(self) -> None:
        sources = self.labels.form.scenes.sources()
        self._workspace.show_tab("landcover", {"sources": sources, "model": self.preview.model.value()})
