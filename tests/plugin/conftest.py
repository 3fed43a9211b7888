"""The plugin is imported from this checkout as the package ``plugin`` (``samescene.plugin`` once installed)."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
