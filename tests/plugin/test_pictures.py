"""Photos read in the background: what comes, in which order, how large."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from gui_support import spin
from photo_files import quarters, save
from qgis.PyQt.QtGui import QImage

from plugin.photos.background import Background
from plugin.photos.picture import Picture, PictureError, PictureLoader, as_array, halved, read_picture

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "crossview" / "panoramas"
pytestmark = pytest.mark.usefixtures("faults_in_slots")


class Gate:
    """Work that waits until it may end."""

    def __init__(self):
        self.entered, self.open = threading.Event(), threading.Event()

    def pass_through(self) -> bool:
        self.entered.set()
        return self.open.wait(5)


@pytest.fixture
def background(qgis_app):
    background = Background()
    yield background
    background.shut_down()


def test_the_newest_comes_first_and_replaces_its_own_kind(background):
    gate, seen = Gate(), []
    background.done.connect(lambda key, answer: seen.append((key, answer, threading.current_thread())))
    background.ask("first", gate.pass_through)
    gate.entered.wait(5)
    for number in range(4):
        background.ask("view", lambda number=number: number)
    background.ask("other", lambda: "x")
    gate.open.set()
    assert background.busy
    spin(lambda: len(seen) == 3)
    assert [(key, answer) for key, answer, _ in seen] == [("first", True), ("other", "x"), ("view", 3)]
    assert {thread for *_, thread in seen} == {threading.main_thread()}, "told in the thread that asked"
    spin(lambda: not background.busy)
    assert not background.busy, "no thread stays where there is no work"


def test_a_fault_is_one_line_and_the_next_work_is_done(background):
    seen = []
    background.failed.connect(lambda key, fault: seen.append((key, fault)))
    background.done.connect(lambda key, answer: seen.append((key, answer)))

    def fail():
        raise ValueError("no\nsuch  thing")

    background.ask("bad", fail)
    spin(lambda: seen)
    background.ask("good", lambda: 1)
    spin(lambda: len(seen) == 2)
    assert seen == [("bad", "no such thing"), ("good", 1)]


def test_after_shutting_down_nothing_is_told(background):
    gate, seen = Gate(), []
    background.done.connect(lambda key, _answer: seen.append(key))
    background.ask("slow", gate.pass_through)
    gate.entered.wait(5)
    background.ask("waiting", lambda: 1)
    threading.Timer(0.05, gate.open.set).start()
    background.shut_down()
    background.ask("late", lambda: 2)
    spin(lambda: False, 0.1)
    assert seen == [] and not background.busy


@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_pixels_are_red_green_blue_whatever_the_file_is(tmp_path, ending):
    drawn = quarters(256)
    picture = read_picture(save(drawn, tmp_path / f"p.{ending}", 100), 2048)
    assert picture.whole and picture.width == 256 and picture.pixels.shape == (128, 256, 4)
    inner = np.abs(picture.pixels[..., :3].astype(int) - drawn)[:, 3:28]  # up to the next colour
    assert inner.max() <= (8 if ending == "jpg" else 0)


def test_grey_and_sixteen_bits_are_read_too():
    grey = QImage(300, 200, QImage.Format.Format_Grayscale8)
    grey.fill(77)
    assert (as_array(grey)[..., :3] == 77).all() and as_array(grey).shape == (200, 300, 4)
    deep = QImage(30, 20, QImage.Format.Format_RGBX64)
    deep.fill(0xFF204060)
    assert as_array(deep)[3, 4, :3].tolist() == [0x20, 0x40, 0x60]


def test_a_large_photo_is_read_no_larger_than_needed_and_its_levels_halve(tmp_path):
    path = save(quarters(3000), tmp_path / "p.jpg")
    picture = read_picture(path, 1500)
    assert picture.pixels.shape == (750, 1500, 4) and picture.width == 3000 and not picture.whole
    assert [level.shape[1] for level in picture.levels] == [1500, 750]
    assert picture.level(100).shape[1] == 750 and picture.level(1200).shape[1] == 1500
    assert picture.level(9999).shape[1] == 1500, "the finest there is"
    assert picture.serves(1500) and not picture.serves(1501)
    assert read_picture(path, 4000).pixels.shape[1] == 3000, "never enlarged"


def test_a_level_is_the_mean_of_four():
    pixels = np.random.default_rng(2).integers(0, 256, (7, 10, 4), dtype=np.uint8)
    small = halved(pixels)
    expected = pixels[:6].reshape(3, 2, 5, 2, 4).astype(float).mean(axis=(1, 3))
    assert small.shape == (3, 5, 4) and np.abs(small - expected).max() <= 0.5


def test_a_flat_photo_is_turned_as_exif_says_and_a_panorama_is_not(tmp_path):
    image = save(quarters(64), tmp_path / "plain.jpg")
    with open(image, "rb") as file:  # noqa: PTH123
        plain = file.read()
    # EXIF with one entry: Orientation 6, "turn by a quarter clockwise".
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(plain[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + plain[2:])
    assert read_picture(str(turned), 2048).pixels.shape == (32, 64, 4)
    assert read_picture(str(turned), 2048, upright=True).pixels.shape == (64, 32, 4)
    small = read_picture(str(turned), 16, upright=True)
    assert small.pixels.shape == (32, 16, 4) and small.width == 32


@pytest.mark.parametrize("content", [None, b"", b"no image", "cut"])
def test_what_cannot_be_read_is_one_line_that_names_the_file(tmp_path, content):
    path = tmp_path / "bad.jpg"
    if content == "cut":
        whole = (tmp_path / "whole.png").resolve()
        save(quarters(512), whole)
        path = tmp_path / "bad.png"
        path.write_bytes(whole.read_bytes()[:200])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(PictureError) as caught:
        read_picture(str(path), 2048)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_the_loader_reads_once_keeps_a_few_and_reads_again_where_more_is_needed(tmp_path, qgis_app):
    paths = [save(quarters(2560), tmp_path / f"{k}.jpg", 70) for k in range(3)]
    loader = PictureLoader(kept_bytes=40_000_000)  # two of them
    ready, failed = [], []
    loader.ready.connect(lambda path, pixels: ready.append((path, pixels.shape[1])))
    loader.failed.connect(lambda path, fault: failed.append((path, fault)))
    loader.ask(paths[0])
    loader.ask(paths[0])
    spin(lambda: ready)
    assert ready == [(paths[0], 2048)]
    loader.ask(paths[0], 2000)
    assert ready == [(paths[0], 2048)] * 2, "kept: told at once"
    loader.ask(paths[0], 2200)
    spin(lambda: len(ready) == 3)
    assert ready[-1] == (paths[0], 2560)
    for path in paths[1:]:
        loader.ask(path, 4096)
    spin(lambda: len(ready) == 5)
    assert [loader.picture(path) is None for path in paths] == [True, False, False]
    loader.ask(str(tmp_path / "none.jpg"))
    spin(lambda: failed)
    assert failed[0][0].endswith("none.jpg") and "none.jpg" in failed[0][1]
    loader.shut_down()


@pytest.mark.parametrize("name", ["lyon_1.jpg", "stuttgart_1.jpg", "toulouse_2.jpg"])
def test_real_panoramas_are_read(name):
    path = REAL / name
    if not path.is_file():
        pytest.skip(f"no real panorama: {path}")
    picture = read_picture(str(path), 2048)
    assert picture.pixels.shape == (1024, 2048, 4) and picture.whole == (name == "stuttgart_1.jpg")
    above, below = picture.pixels[100:300, :, :3].mean(), picture.pixels[650:800, :, :3].mean()
    assert above > 60 and 20 < below < 220, "sky above, street below"


def test_the_pixels_outlive_what_read_them(tmp_path):
    pixels = read_picture(save(quarters(300), tmp_path / "p.png"), 2048).pixels
    again = Picture((pixels,), 300, True)
    del pixels
    assert again.size_bytes == 300 * 150 * 4 and again.pixels[:, 150, 0].max() > 100
