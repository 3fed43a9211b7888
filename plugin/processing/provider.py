"""The Processing provider ``samescene``."""

from __future__ import annotations

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from ..engine_client.runs import RunRegistry
from ..engine_client.settings import plugin_root


class SameSceneProvider(QgsProcessingProvider):
    """Lists the algorithms; all their runs are told to ``registry``."""

    def __init__(self, registry: RunRegistry) -> None:
        super().__init__()
        self._registry = registry

    def id(self):
        return "samescene"

    def name(self):
        return "SameScene"

    def longName(self):
        return "SameScene: flood and land-cover maps from Sentinel-1 and Sentinel-2, places of photos"

    def icon(self):
        return QIcon(self.svgIconPath())

    def svgIconPath(self):
        return str(plugin_root() / "resources" / "icons" / "samescene.svg")

    def loadAlgorithms(self):
        from .accuracy import AccuracyAlgorithm
        from .flood import FloodAlgorithm
        from .landcover import LandcoverAlgorithm
        from .landcover_change import LandcoverChangeAlgorithm
        from .landcover_legend import LandcoverLegendAlgorithm
        from .locate_evaluate import LocateEvaluateAlgorithm
        from .locate_index import LocateIndexAlgorithm
        from .locate_learn import LocateLearnAlgorithm
        from .locate_search import LocateSearchAlgorithm
        from .photo_place import PhotoPlaceAlgorithm
        from .photos import PhotosAlgorithm
        from .sample_points import SamplePointsAlgorithm
        from .train_landcover import TrainLandcoverAlgorithm

        for kind in (
            FloodAlgorithm,
            LandcoverAlgorithm,
            LandcoverChangeAlgorithm,
            LandcoverLegendAlgorithm,
            TrainLandcoverAlgorithm,
            SamplePointsAlgorithm,
            AccuracyAlgorithm,
            LocateIndexAlgorithm,
            LocateSearchAlgorithm,
            LocateEvaluateAlgorithm,
            PhotosAlgorithm,
            PhotoPlaceAlgorithm,
            LocateLearnAlgorithm,
        ):
            self.addAlgorithm(kind(self._registry))
