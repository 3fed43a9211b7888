"""Finding, installing and running the engine, which lives in its own Python environment and process."""
