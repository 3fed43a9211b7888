"""How the models that ship are trained: one module a model."""
