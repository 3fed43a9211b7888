"""Shared by the engine's tests."""

from __future__ import annotations

import os

# Tests run beside each other: one thread each is faster than many that wait for one another. Read when torch and
# numpy's BLAS are loaded, and handed down to the processes that tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
