"""The published layouts that are read as they lie on disk: one module a layout, one function ``find`` each."""
