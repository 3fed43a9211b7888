"""The layer of photos by the positions in their files."""

from __future__ import annotations

from .photo_styles import style_photos
from .product import Product, Role

PHOTO_PRODUCT = Product(
    job="photo-facts",
    title="Photos",
    topic="location",
    keywords=("photos", "panoramas"),
    attributed=False,
    roles=(
        Role(
            "photos",
            "photos.gpkg",
            "Photos",
            "Where photos were taken and where they look, as their files tell: nobody has checked it. The fields are "
            "those of QGIS's own 'Import geotagged photos', and some more.",
            style_photos,
            table="photos",
            expanded=True,
        ),
    ),
)
