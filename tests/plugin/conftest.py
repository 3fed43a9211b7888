"""The plugin is imported from this checkout as the package ``plugin`` (``samescene.plugin`` once installed)."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parents[2]
for folder in (ROOT, Path(__file__).parent):  # the second holds what several tests are made of
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


@pytest.fixture(scope="session", autouse=True)
def settings_of_this_session(qgis_app, tmp_path_factory):
    """QgsSettings in a fresh folder: what an earlier or a parallel session set must not decide a test."""
    from qgis.PyQt.QtCore import QSettings

    folder = tmp_path_factory.mktemp("settings")
    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(folder))
    return folder


# A machine that does other work too is no fault of a test.
settings.register_profile("plugin", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=50)
settings.load_profile("plugin")
