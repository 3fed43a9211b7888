"""From a panorama to its place on the map: search cells, descriptions, index, search."""
