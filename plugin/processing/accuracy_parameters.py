"""The parameters and outputs of ``samescene:accuracy``: one parameter for every field of the engine's request."""

from __future__ import annotations

from qgis.core import (
    QgsProcessing,
    QgsProcessingOutputDefinition,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterFile,
)

from .definitions import Tr, advanced, helped, legend_parameters, output_parameter, overwrite_parameter, raster

FIELDS = {
    "sample": ("SAMPLE_LAYER", "SAMPLE_FOLDER"),
    "out": ("OUTPUT",),
    "map": ("MAP",),
    "label_field": ("LABEL_FIELD",),
    "legend": ("LEGEND", "LEGEND_FILE"),
    "confident_only": ("CONFIDENT_ONLY",),
    "overwrite": ("OVERWRITE",),
}
"""The parameters that fill each field of the engine's ReportRequest, in the request's order."""


def accuracy_parameters(tr: Tr) -> list[QgsProcessingParameterDefinition]:
    """The parameters in the order of the dialog; each with help that serves as tooltip too."""
    points = [QgsProcessing.SourceType.TypeVectorPoint]
    folder = QgsProcessingParameterFile.Behavior.Folder
    return [
        helped(
            QgsProcessingParameterFeatureSource("SAMPLE_LAYER", tr("Labelled points"), points, None, True),
            tr("The points of a sample drawn by 'Sample points for accuracy', labelled and saved; or any points with a "
               "class code, whose figures are then indicative only. Points without a label are left out and counted."),
        ),
        helped(
            QgsProcessingParameterFile("SAMPLE_FOLDER", tr("Folder of the sample"), folder, "", None, True),
            tr("The folder with points.gpkg and design.json, instead of a layer."),
        ),
        raster(
            "MAP",
            tr("Map"),
            tr("The map that is assessed, where it is not the one that the sample was drawn for. The strata of the "
               "sample may differ from its classes."),
        ),
        advanced(
            QgsProcessingParameterField("LABEL_FIELD", tr("Label field"), "label", "SAMPLE_LAYER", optional=True),
            tr("Field of the points that holds the reference class: its code, or its name."),
        ),
        *legend_parameters(
            tr, tr("Legend for the names of classes: empty for the one that the map names.")
        ),
        advanced(
            QgsProcessingParameterBoolean("CONFIDENT_ONLY", tr("Confident labels only"), False),
            tr("Leaves out points whose field 'confident' is false, as if they were not labelled."),
        ),
        overwrite_parameter(tr),
        output_parameter(
            tr, tr("Folder for report.html, matrix.csv, accuracy.csv, area.csv and result.json. Made if absent.")
        ),
    ]  # fmt: skip


def accuracy_outputs(tr: Tr) -> list[QgsProcessingOutputDefinition]:
    """What a run gives besides the folder."""
    return [
        QgsProcessingOutputHtml("REPORT", tr("Report")),
        QgsProcessingOutputFile("MATRIX", tr("Error matrix (CSV)")),
        QgsProcessingOutputFile("ACCURACY", tr("Accuracy by class (CSV)")),
        QgsProcessingOutputFile("AREA", tr("Error-adjusted area by class (CSV)")),
        QgsProcessingOutputFile("RESULT", tr("Figures and provenance (JSON)")),
        QgsProcessingOutputNumber("OVERALL_ACCURACY", tr("Overall accuracy (0–1)")),
        QgsProcessingOutputNumber("OVERALL_LOW", tr("Overall accuracy, lower end of the 95 % interval")),
        QgsProcessingOutputNumber("OVERALL_HIGH", tr("Overall accuracy, upper end of the 95 % interval")),
        QgsProcessingOutputNumber("LABELLED", tr("Labelled points")),
    ]
