"""The windows: dock, runs, options. Modules here are imported when first shown."""
