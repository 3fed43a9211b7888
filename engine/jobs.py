"""The one table of jobs: name, request model and function.

Command line, worker and Dask look a job up here and call the same function with the same request, so their results
cannot differ. Entries are written ``"module:attribute"`` and imported when used: ``engine --help`` imports none.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from engine.errors import ParameterError
from engine.events import Reporter

if TYPE_CHECKING:
    from pydantic import BaseModel


@dataclass(frozen=True)
class Job:
    """A job: ``request`` and ``function`` name a pydantic model and ``run(request, reporter) -> dict`` (JSON-able)."""

    name: str
    request: str
    function: str
    summary: str

    def parse(self, params: dict[str, Any]) -> BaseModel:
        """The validated request; raises ParameterError with one line that names each field at fault."""
        from pydantic import ValidationError

        model = _load(self.request)
        try:
            return model(**params)
        except ValidationError as error:
            faults = []
            for fault in error.errors():
                where = ".".join(str(part) for part in fault["loc"]) or "request"
                given = f" (found {fault['input']!r})" if fault["type"] != "missing" else ""
                faults.append(f"{where}: {fault['msg'][0].lower()}{fault['msg'][1:]}{given}")
            raise ParameterError(
                f"{self.name}: {'; '.join(faults)}.", remedy=f"See 'engine {self.name} --help'."
            ) from error

    def run(self, request: BaseModel, reporter: Reporter) -> dict[str, Any]:
        """Do the job; raises EngineError, Cancelled among them."""
        return _load(self.function)(request, reporter)


def _load(where: str) -> Any:
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


JOBS: dict[str, Job] = {
    job.name: job
    for job in (
        Job(
            "flood",
            "engine.mapping.flood.request:FloodRequest",
            "engine.mapping.flood.job:run",
            "Map water and flood from Sentinel-1 or Sentinel-2.",
        ),
        Job(
            "evaluate-flood",
            "engine.mapping.flood.evaluate_request:EvaluateFloodRequest",
            "engine.mapping.flood.evaluate:run",
            "Score flood maps against labelled chips.",
        ),
        Job(
            "landcover",
            "engine.mapping.landcover.request:LandcoverRequest",
            "engine.mapping.landcover.job:run",
            "Map land cover from Sentinel-2, Sentinel-1 or both.",
        ),
        Job(
            "landcover-change",
            "engine.mapping.landcover.change_request:LandcoverChangeRequest",
            "engine.mapping.landcover.change:run",
            "Compare two land-cover maps: what became of what.",
        ),
        Job(
            "landcover-legend",
            "engine.mapping.landcover.legend_request:LandcoverLegendRequest",
            "engine.mapping.landcover.legend_change:run",
            "Write a land-cover map in another legend, or with classes merged.",
        ),
        Job(
            "assess-sample",
            "engine.assess.requests:SampleRequest",
            "engine.assess.sample:run",
            "Draw points for an accuracy assessment of a map.",
        ),
        Job(
            "assess-report",
            "engine.assess.requests:ReportRequest",
            "engine.assess.report:run",
            "Tell accuracy and area of a map from labelled points.",
        ),
        Job(
            "evaluate-landcover",
            "engine.mapping.landcover.evaluate_request:EvaluateLandcoverRequest",
            "engine.mapping.landcover.evaluate:run",
            "Score land-cover maps against labelled chips.",
        ),
        Job(
            "evaluate-crossview",
            "engine.crossview.evaluation.request:EvaluateCrossviewRequest",
            "engine.crossview.evaluation.job:run",
            "Score how panoramas are found among overhead images.",
        ),
        Job(
            "simulate-scene",
            "engine.simulate.request:SceneRequest",
            "engine.simulate.job:run",
            "Make a simulated Sentinel-1/Sentinel-2 scene with exact flood truth.",
        ),
        Job(
            "simulate-city",
            "engine.simulate.city.request:SimulateCityRequest",
            "engine.simulate.city.job:run",
            "Make a simulated city seen from its streets and from above.",
        ),
        Job(
            "pretrain",
            "engine.training.requests:PretrainRequest",
            "engine.training.pretrain:run",
            "Learn encoders from unlabelled sensor pairs.",
        ),
        Job(
            "crossview-train",
            "engine.training.crossview.request:CrossViewTrainRequest",
            "engine.training.crossview.train:run",
            "Learn to find the place of a panorama among tiles seen from above.",
        ),
        Job(
            "crossview-adapt",
            "engine.training.crossview.adapt.request:CrossviewAdaptRequest",
            "engine.training.crossview.adapt.job:run",
            "Learn an area from own photos and imagery, without pairs.",
        ),
        Job(
            "finetune",
            "engine.training.requests:FinetuneRequest",
            "engine.training.finetune_job:run",
            "Train a flood model on labelled chips.",
        ),
        Job(
            "study-label-efficiency",
            "engine.training.study.request:LabelEfficiencyRequest",
            "engine.training.study.job:run",
            "Compare encoders at several shares of the labels.",
        ),
        Job(
            "data-check",
            "engine.training.data.request:DataCheckRequest",
            "engine.training.data.check:run",
            "Tell what a set of training data holds and what is broken in it.",
        ),
        Job(
            "data-pack",
            "engine.training.data.request:DataPackRequest",
            "engine.training.data.packing:run",
            "Write training data as memory-mapped shards.",
        ),
        Job(
            "locate-plan",
            "engine.locate.requests:LocatePlanRequest",
            "engine.locate.plan_job:run",
            "Tell what an index of a region would hold and cost, and whether the imagery is good enough.",
        ),
        Job(
            "locate-index",
            "engine.locate.requests:LocateIndexRequest",
            "engine.locate.index_job:run",
            "Describe the cells of a region, to search it for photos.",
        ),
        Job(
            "locate-search",
            "engine.locate.requests:LocateSearchRequest",
            "engine.locate.search_job:run",
            "Find where photos were taken.",
        ),
        Job(
            "locate-score",
            "engine.locate.requests:LocateScoreRequest",
            "engine.locate.score_job:run",
            "Score places that a person proposes, as candidates of a search are.",
        ),
        Job(
            "locate-evaluate",
            "engine.locate.requests:LocateEvaluateRequest",
            "engine.locate.evaluate_job:run",
            "Tell how far off the search is, from photos with known positions.",
        ),
        Job(
            "photo-facts",
            "engine.photos.requests:PhotoFactsRequest",
            "engine.photos.facts_job:run",
            "Tell what photos say of themselves: view, position, heading, time.",
        ),
        Job(
            "photo-place",
            "engine.photos.requests:PhotoPlaceRequest",
            "engine.photos.place_job:run",
            "Write position and heading into copies of photos.",
        ),
        Job(
            "doctor", "engine.doctor:DoctorRequest", "engine.doctor:run", "Report what is installed and what is wrong."
        ),
    )
}


def find_job(name: str) -> Job:
    """The job of that name; raises ParameterError that lists the names."""
    if name not in JOBS:
        raise ParameterError(f"There is no job {name!r}.", remedy=f"Jobs: {', '.join(sorted(JOBS))}.")
    return JOBS[name]
