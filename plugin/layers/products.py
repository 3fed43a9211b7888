"""The table of products: which layers the results of each job have."""

from __future__ import annotations

from .change_product import CHANGE_PRODUCT
from .flood_product import FLOOD_PRODUCT
from .landcover_product import LANDCOVER_PRODUCT, LEGEND_PRODUCT
from .locate_product import INDEX_PRODUCT, LOCATE_PRODUCT
from .photo_product import PHOTO_PRODUCT
from .product import Product, Result
from .sample_product import SAMPLE_PRODUCT

PRODUCTS = {
    product.job: product
    for product in (
        FLOOD_PRODUCT,
        LANDCOVER_PRODUCT,
        LEGEND_PRODUCT,
        CHANGE_PRODUCT,
        SAMPLE_PRODUCT,
        INDEX_PRODUCT,
        LOCATE_PRODUCT,
        PHOTO_PRODUCT,
    )
}


def product_of(result: Result) -> Product | None:
    """The product of a result; None of a job that leaves no layers."""
    return PRODUCTS.get(result.get("job") or "flood")
