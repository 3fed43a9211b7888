"""Options of fine-tuning that say where one's own labels are and what is made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, field_validator


class LabelFields(BaseModel):
    """Fields of ``engine finetune --task landcover`` for labels in a vector layer; descriptions are help texts."""

    scene: tuple[str, ...] = Field(
        (),
        description="Rasters of one place and date that the labels lie on: Sentinel-2 (in one file or several) or "
        "Sentinel-1; may be repeated.",
    )
    labels_from: str | None = Field(
        None,
        description="Layer of polygons or points with a class: any vector file and coordinate system; "
        "FILE|layername=NAME names a layer.",
    )
    class_field: str | None = Field(
        None, description="Field of the classes, whole numbers or names; default: the one called class, label or code."
    )
    class_colors: str | None = Field(
        None,
        description='Codes, names and colours of the classes: JSON text {"VALUE": {"code": 10, "name": "Forest", '
        '"color": "#1b7a2f"}, ...} or a JSON file; default: by a legend that fits, else chosen.',
    )
    block_m: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Side in metres of the blocks that validation holds out; default: from where the labels lie."
    )
    point_size: Literal[1, 3] = Field(
        1, description="A point labels the pixel that holds it (1), or the 3 x 3 pixels around (3)."
    )
    head: Literal["auto", "pixel", "network"] = Field(
        "auto",
        description="pixel: a linear layer over pixels, their neighbourhoods and the features of a pretrained model, "
        "in seconds; network: the whole network is trained; auto: pixel, unless labels are many.",
    )
    time_limit: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        None, description="Most minutes that a network is trained from labels; default: as steps and epochs say."
    )
    register_as: str | None = Field(
        None, description="Put the model into the user's folder of models under this name too."
    )

    @field_validator("scene", mode="before")
    @classmethod
    def _one_or_more_scenes(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value
