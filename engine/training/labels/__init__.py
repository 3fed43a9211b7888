"""Land-cover models from one's own labels: a layer of polygons or points over a scene."""
