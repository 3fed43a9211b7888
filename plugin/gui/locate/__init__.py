"""The Locate tab and the viewer of photos. Modules here are imported when first shown."""
