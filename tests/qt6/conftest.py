"""Tests under PyQt6 without QGIS: ``standin/`` is on PYTHONPATH (scripts/test), the checkout is put there here."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
