"""The Processing algorithm ``samescene:photos``: ``engine photos facts`` as a layer of points."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .checks import folder_faults
from .engine_algorithm import EngineAlgorithm, made_files, made_tables
from .photos_parameters import photos_outputs, photos_parameters
from .preparation import Preparation, PreparedRun
from .texts import photos_help


class PhotosPreparation(Preparation):
    """The request of ``engine photos facts``."""

    def named(self) -> list[str]:
        """The photos that are named, then the folder."""
        files = self.algorithm.parameterAsFileList(self.parameters, "PHOTOS", self.context)
        folder = self.text("FOLDER")
        return [str(Path(file).absolute()) for file in (*files, folder) if file]

    def prepare(self) -> PreparedRun:
        """Raises nothing: files are the engine's to open."""
        named = self.named()
        params: dict[str, Any] = {"photos": named}
        if not self.flag("RECURSIVE"):
            params["recursive"] = False
        if self.text("THUMBNAILS"):
            params["thumbnails"] = str(Path(self.text("THUMBNAILS")).absolute())
        params.update(self.options("THUMBNAIL_SIZE"))
        params.update(self.destination())
        more = f" and {len(named) - 1} more" if len(named) > 1 else ""
        return PreparedRun(params, f"Photos – {Path(named[0]).name}{more}", self.notes)


def photos_faults(look: PhotosPreparation) -> Iterator[str]:
    """The faults of the parameters, most telling first. Looks at names only."""
    named = look.named()
    if not named:
        yield "Photos: none are chosen. Choose photos, or a folder of photos."
    missing = [name for name in named if not Path(name).exists()]
    if missing:
        yield f"Photos: {missing[0]} does not exist. Choose it again."
    if look.text("FOLDER") and not Path(look.text("FOLDER")).is_dir():
        yield f"Folder of photos: {look.text('FOLDER')} is not a folder."
    yield from folder_faults(look)


class PhotosAlgorithm(EngineAlgorithm):
    """Photos become points, by what their files say."""

    job = "photo-facts"
    icon_name = "photos"
    layer_outputs = {"photos": "POINTS"}  # noqa: RUF012 - read only

    def name(self):
        return "photos"

    def displayName(self):
        return self.tr("Photos to points")

    def group(self):
        return self.tr("Locate photos")

    def groupId(self):
        return "locate"

    def tags(self):
        return self.tr("photo,panorama,360,exif,gpano,geotag,heading,points,samescene").split(",")

    def shortDescription(self):
        return self.tr("Where photos were taken and where they look, as their files tell; says what is a panorama.")

    def shortHelpString(self):
        return photos_help(self.tr)

    def definitions(self):
        return photos_parameters(self.tr)

    def output_definitions(self):
        return photos_outputs(self.tr)

    def faults(self, parameters, context):
        return photos_faults(PhotosPreparation(self, parameters, context))

    def prepared(self, parameters, context):
        return PhotosPreparation(self, parameters, context).prepare()

    def results_of(self, result, out):
        figures = result.get("figures") or {}
        return {
            **made_files(result, out, {"RESULT": "result.json"}),
            **made_tables(result, out, {"POINTS": "photos.gpkg|layername=photos"}),
            "COUNT": figures.get("photos"),
            "WITH_POSITION": figures.get("with_position"),
            "UNREADABLE": figures.get("unreadable"),
        }
