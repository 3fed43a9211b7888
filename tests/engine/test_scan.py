"""The scan finds what the plugin repository would refuse, and nothing in what ships."""

from __future__ import annotations

import json
import runpy
import shutil
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("bandit", reason="the lint extra is not installed")
pytest.importorskip("detect_secrets", reason="the lint extra is not installed")
ROOT = Path(__file__).resolve().parents[2]
scanning = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "scan_plugin")))
KEY = "AKIA" + "Z7Q4PLM2XW9RTB3N"
PRIVATE = "-----BEGIN " + "RSA PRIVATE KEY-----\nabc\n"
HOST = "10.1.2.3"


def zip_of(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "sample.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in {"__init__.py": "", **files}.items():
            archive.writestr(f"samescene/{name}", text)
    return path


PLANTED = {
    "a.py": "assert 1\n",
    "b.py": "eval('1')\n",
    "c.py": "import pickle\n\npickle.loads(b'')\n",
    "d.py": "try:\n    pass\nexcept Exception:\n    pass\n",
    "e.py": "import subprocess\n\nsubprocess.run(['ls'])\n",
    "f.py": "import hashlib\n\nhashlib.md5(b'')\n",
    "g.py": "import random\n\nrandom.random()\n",
    "h.py": "SCRATCH = '/tmp/x'\n",
    "i.py": "import xml.etree.ElementTree\n",
    "j.py": "def f(:\n",
    "k.txt": f"{KEY}\n",
    "l.txt": PRIVATE,
    "m.py": "from urllib.request import urlopen\n\nurlopen('file:///x')\n",
    "n.py": "import torch\n\ntorch.load('x')\n",
    "o.py": "assert 1  # nosec B101 - shown to be honoured\n",
    "p.py": "eval('1')  # nosec B307 - not excusable\n",
    "q.txt": f"{HOST}\n",
    "r.py": "import subprocess\n",
}


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> dict[str, set[str]]:
    rules: dict[str, set[str]] = {}
    for finding in scanning.scan(zip_of(tmp_path_factory.mktemp("planted"), PLANTED)):
        rules.setdefault(Path(finding.path).name, set()).add(finding.rule)
    return rules


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("a.py", "B101"),
        ("b.py", "B307"),
        ("c.py", "B301"),
        ("c.py", "B403"),
        ("d.py", "B110"),
        ("e.py", "B603"),
        ("f.py", "B324"),
        ("g.py", "B311"),
        ("h.py", "B108"),
        ("i.py", "B405"),
        ("j.py", "unread"),
        ("k.txt", "AWS Access Key"),
        ("l.txt", "Private Key"),
        ("m.py", "B310"),
        ("n.py", "B614"),
        ("p.py", "B307"),
    ],
)
def test_finds(found, name, rule):
    assert rule in found.get(name, set())


@pytest.mark.parametrize("name", ["o.py", "q.txt", "r.py"])
def test_does_not_find_what_is_excused_or_not_enabled(found, name):
    assert name not in found


def test_a_baseline_in_the_zip_excuses_exactly_what_it_lists(tmp_path):
    other = "AKIA" + "H3K9DQW5VY8TJC6M"
    before = scanning.scan(zip_of(tmp_path, {"k.txt": f"{KEY}\n"}))
    assert [finding.rule for finding in before] == ["AWS Access Key"]
    digest = secret_digest(tmp_path, KEY)
    baseline = json.dumps({"results": {"k.txt": [{"hashed_secret": digest}]}})
    assert scanning.scan(zip_of(tmp_path, {"k.txt": f"{KEY}\n", ".secrets.baseline": baseline})) == []
    still = scanning.scan(zip_of(tmp_path, {"k.txt": f"{KEY}\n{other}\n", ".secrets.baseline": baseline}))
    assert [finding.line for finding in still] == [2]


def secret_digest(folder: Path, secret: str) -> str:
    from detect_secrets.core.potential_secret import PotentialSecret

    return PotentialSecret.hash_secret(secret)


def test_what_ships_has_no_finding(tmp_path, capsys):
    if shutil.which("git") is None:
        pytest.skip("git is missing")
    packaging = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "package_plugin")))
    path = tmp_path / "samescene.zip"
    path.write_bytes(packaging.package(ROOT)[1])
    assert scanning.main([str(path)]) == 0, capsys.readouterr().out


def test_exit_codes(tmp_path, capsys):
    assert scanning.main([str(zip_of(tmp_path, {"a.py": "assert 1\n"}))]) == 1
    assert "B101" in capsys.readouterr().out
    (tmp_path / "broken.zip").write_bytes(b"no zip")
    assert scanning.main([str(tmp_path / "broken.zip")]) == 2
    assert "cannot be opened" in capsys.readouterr().err
