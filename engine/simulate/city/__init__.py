"""Small procedural cities, seen from the street and from above: geometry, light and cameras."""
