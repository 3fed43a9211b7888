"""What photos say of themselves: facts, small pictures, points; broken ones beside good ones."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pyogrio
import pytest
from PIL import ExifTags, Image, ImageOps

from engine.errors import Cancelled, MissingFileError, ParameterError
from engine.events import CancelToken, Reporter
from engine.jobs import find_job
from engine.panorama.photo import read_photo, read_pixels
from engine.photos.facts import facts_of
from engine.photos.listing import photo_files

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "crossview" / "panoramas"
real = pytest.mark.skipif(not DATA.is_dir(), reason="The real panoramas (../shared/data/crossview) are not here.")
GPS = {
    ExifTags.GPS.GPSLatitudeRef: "S",
    ExifTags.GPS.GPSLatitude: (33.0, 30.0, 0.0),
    ExifTags.GPS.GPSLongitudeRef: "W",
    ExifTags.GPS.GPSLongitude: (70.0, 45.0, 36.0),
    ExifTags.GPS.GPSAltitude: 12.5,
    ExifTags.GPS.GPSAltitudeRef: b"\x01",
    ExifTags.GPS.GPSImgDirectionRef: "T",
    ExifTags.GPS.GPSImgDirection: 210.5,
}


def photo(path, size=(128, 64), *, orientation=None, gps=None, **tags):
    exif = Image.Exif()
    if gps:
        exif[ExifTags.IFD.GPSInfo] = gps
    for name, value in tags.items():
        exif[getattr(ExifTags.Base, name)] = value
    if orientation:
        exif[ExifTags.Base.Orientation] = orientation
    values = np.zeros((size[1], size[0], 3), np.uint8)
    values[: size[1] // 2] = (200, 30, 30)  # the upper half is red
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, **({"exif": exif} if len(exif) else {}))
    return str(path)


def run(params, reporter=None):
    job = find_job("photo-facts")
    return job.run(job.parse(params), reporter or Reporter())


def test_every_fact_of_a_panorama(tmp_path):
    path = photo(tmp_path / "p.jpg", gps=GPS, Make="GoPro\x00", Model="GoPro Max\x00")
    found = facts_of(path)
    assert found["kind"] == "panorama" and (found["width"], found["height"]) == (128, 64)
    assert (found["hfov_deg"], found["vfov_deg"], found["pitch_center_deg"]) == (360.0, 180.0, 0.0)
    assert (found["lon"], found["lat"]) == pytest.approx((-70.76, -33.5))
    assert found["altitude_m"] == -12.5, "the reference says below sea level"
    assert found["heading_deg"] == 210.5 and found["camera"] == "GoPro Max" and found["fault"] == ""
    assert json.loads(json.dumps(found)) == found


def test_facts_are_those_that_the_search_reads(tmp_path):
    """The view is made by one function: what the window says is what is searched with."""
    path = photo(tmp_path / "p.jpg", (120, 90), orientation=6, gps=GPS)
    facts, read = facts_of(path), read_photo(path)
    assert facts["kind"] == "photo" and not read.is_panorama
    assert (facts["width"], facts["height"]) == (90, 120) == tuple(read.pixels.shape[:0:-1])
    assert (facts["hfov_deg"], facts["vfov_deg"]) == (read.view.hfov_deg, read.view.vfov_deg)
    assert facts["heading_deg"] == read.view.heading_deg and facts["notes"] == list(read.problems)
    assert facts["rotation"] == 90


@pytest.mark.parametrize(("orientation", "red"), [(1, "top"), (3, "bottom"), (6, "right"), (8, "left")])
def test_small_pictures_stand_upright(tmp_path, orientation, red):
    path = photo(tmp_path / "p.jpg", (120, 90), orientation=orientation)
    small = np.asarray(Image.open(facts_of(path, thumbnails=tmp_path, size=48)["thumbnail"]).convert("RGB"))
    rows, columns = small.shape[:2]
    middle = {"top": (2, columns // 2), "bottom": (-3, columns // 2),
              "left": (rows // 2, 2), "right": (rows // 2, -3)}[red]  # fmt: skip
    assert small[middle][0] > 150 and max(small.shape) == 48


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
def test_all_kinds_of_files_stand_upright_alike(tmp_path, ending):
    """Pillow turns TIFF by itself, and the others not."""
    path = photo(tmp_path / f"p.{ending}", (120, 90), orientation=6)
    found, read = facts_of(path, thumbnails=tmp_path, size=60), read_photo(path)
    assert (found["width"], found["height"]) == (90, 120) == tuple(read.pixels.shape[:0:-1])
    assert found["vfov_deg"] > found["hfov_deg"] == read.view.hfov_deg
    assert np.asarray(Image.open(found["thumbnail"]))[30, -3, 0] > 150, "the red half is on the right"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_turned_as_pillow_turns_them(tmp_path, orientation):
    path = photo(tmp_path / "p.png", (12, 9), orientation=orientation)
    values = np.random.default_rng(0).integers(0, 255, (9, 12, 3), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(values).save(path, exif=exif)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(read_pixels(path).numpy().transpose(1, 2, 0), expected)


@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged metadata
def test_whatever_the_damage_it_is_a_line_and_no_crash(tmp_path):
    """Bytes at random in what stands before the pixels: an orientation in damaged EXIF was a crash once."""
    dice = np.random.default_rng(3)
    whole = Path(photo(tmp_path / "p.jpg", (60, 45), orientation=6, gps=GPS, Make="GoPro")).read_bytes()
    head = whole.index(b"\xff\xda")
    for number in range(200):
        data = bytearray(whole)
        for place in dice.integers(2, head, 1 + number % 6):
            data[place] = dice.integers(256)
        (tmp_path / "q.jpg").write_bytes(data)
        found = facts_of(str(tmp_path / "q.jpg"))
        assert "\n" not in found["fault"] and (found["fault"] == "") == (found["width"] > 0)


def test_a_panorama_is_never_turned(tmp_path):
    """Azimuth runs along its columns as they lie in the file, whatever its orientation says."""
    found = facts_of(photo(tmp_path / "p.jpg", orientation=6), thumbnails=tmp_path, size=64)
    assert (found["width"], found["height"], found["kind"]) == (128, 64, "panorama")
    assert Image.open(found["thumbnail"]).size == (64, 32)


def test_a_small_picture_is_made_once_and_anew_for_a_new_file(tmp_path):
    path = photo(tmp_path / "p.jpg")
    first = facts_of(path, thumbnails=tmp_path, size=32)["thumbnail"]
    os.utime(first, ns=(1, 1))
    assert facts_of(path, thumbnails=tmp_path, size=32)["thumbnail"] == first and Path(first).stat().st_mtime_ns == 1
    photo(tmp_path / "p.jpg", (256, 128))
    assert facts_of(path, thumbnails=tmp_path, size=32)["thumbnail"] != first


def broken(folder):
    """Path → a word of the line that says what is wrong with it."""
    whole = Path(photo(folder / "whole.jpg", (512, 256))).read_bytes()
    files = {
        "cut.jpg": (whole[: len(whole) // 2], "damaged"),
        "text.jpg": (b"hello", "no image"),
        "empty.jpg": (b"", "no image"),
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    (folder / "whole.jpg").unlink()
    return {name: word for name, (_, word) in files.items()}


def test_a_broken_photo_is_one_line_and_the_others_go_on(tmp_path):
    words = broken(tmp_path / "drive")
    photo(tmp_path / "drive" / "good 2.jpg", gps=GPS)
    photo(tmp_path / "drive" / "good 10.jpg")
    seen = []
    answer = run(
        {"photos": [str(tmp_path / "drive"), str(tmp_path / "gone.jpg")], "thumbnails": str(tmp_path / "small")},
        Reporter(seen.append),
    )
    found = {Path(one["path"]).name: one for one in answer["photos"]}
    assert list(found) == ["cut.jpg", "empty.jpg", "good 2.jpg", "good 10.jpg", "text.jpg", "gone.jpg"]
    for name, word in {**words, "gone.jpg": "no such photo"}.items():
        assert word in found[name]["fault"] and "\n" not in found[name]["fault"] and name in found[name]["fault"]
        assert found[name]["thumbnail"] is None and found[name]["width"] == 0
    assert not found["good 2.jpg"]["fault"] and Path(found["good 10.jpg"]["thumbnail"]).is_file()
    assert answer["figures"] == {"photos": 6, "unreadable": 4, "panoramas": 2, "strips": 0, "flat": 0,
                                 "with_position": 1, "with_heading": 1}  # fmt: skip
    assert len(answer["warnings"]) == 4
    assert [e.fraction for e in seen if hasattr(e, "fraction")][-1] == 1.0


def test_maps_are_no_photos(tmp_path):
    path = tmp_path / "map.tif"
    tags = {33550: (1.0, 1.0, 0.0), 33922: (0.0,) * 6}
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(path, tiffinfo=tags)
    assert "georeferenced raster" in facts_of(str(path))["fault"]


def test_which_files_are_meant(tmp_path):
    for name in ("b10.jpg", "b9.JPG", "sub/c.png", ".hidden/d.jpg", ".e.jpg", "notes.txt", "f.webp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    reporter = Reporter()

    def names(named, **options):
        return [Path(p).relative_to(tmp_path).as_posix() for p in photo_files(named, reporter=reporter, **options)]

    assert names([str(tmp_path)], recursive=True) == ["b9.JPG", "b10.jpg", "f.webp", "sub/c.png"]
    assert names([str(tmp_path)], recursive=False) == ["b9.JPG", "b10.jpg", "f.webp"]
    twice = [str(tmp_path / "notes.txt"), str(tmp_path / "b9.JPG"), str(tmp_path)]
    assert names(twice, recursive=False) == ["notes.txt", "b9.JPG", "b10.jpg", "f.webp"]
    (tmp_path / "none").mkdir()
    names([str(tmp_path / "none"), str(tmp_path / "f.webp")], recursive=True)
    assert "no photos in this folder" in reporter.warnings[0]
    with pytest.raises(MissingFileError, match="no photos in there"):
        names([str(tmp_path / "none")], recursive=True)


def test_points_have_the_fields_of_qgis(tmp_path):
    photo(tmp_path / "in" / "south.jpg", gps=GPS)
    photo(tmp_path / "in" / "nowhere.jpg")
    (tmp_path / "in" / "text.jpg").write_text("x")
    answer = run({"photos": [str(tmp_path / "in")], "out": str(tmp_path / "out")})
    stored = json.loads((tmp_path / "out" / "result.json").read_text())
    assert stored["outputs"] == {"photos": "photos.gpkg", "result": "result.json"}
    assert stored["photos"] == answer["photos"] and "photos facts" in stored["command"]
    meta, _, shapes, columns = pyogrio.raw.read(tmp_path / "out" / "photos.gpkg", layer="photos")
    row = dict(zip(meta["fields"], (c[0] for c in columns), strict=True))
    assert list(row)[:9] == ["photo", "filename", "directory", "altitude", "direction", "rotation",
                             "longitude", "latitude", "timestamp"]  # fmt: skip
    assert row["filename"] == "south" and row["directory"] == str(tmp_path / "in")
    assert (row["direction"], row["altitude"], row["rotation"]) == (210.5, -12.5, 0)
    assert float(row["longitude"]) == pytest.approx(-70.76) and len(shapes) == 1
    assert meta["crs"] == "EPSG:4326" and meta["geometry_type"] == "Point Z"
    meta, _, _, columns = pyogrio.raw.read(tmp_path / "out" / "photos.gpkg", layer="without_position")
    table = {name: list(values) for name, values in zip(meta["fields"], columns, strict=True)}
    assert table["filename"] == ["nowhere", "text"] and list(map(bool, table["readable"])) == [True, False]
    assert "no position" in table["reason"][0] and "no image" in table["reason"][1]


def test_a_layer_without_points_is_made_and_said(tmp_path):
    photo(tmp_path / "in" / "nowhere.jpg")
    answer = run({"photos": [str(tmp_path / "in")], "out": str(tmp_path / "out")})
    assert any("layer of points is empty" in line for line in answer["warnings"])
    meta, _, shapes, _ = pyogrio.raw.read(tmp_path / "out" / "photos.gpkg", layer="photos")
    assert len(shapes) == 0 and "direction" in meta["fields"]


def test_a_cancel_leaves_nothing(tmp_path):
    for number in range(6):
        photo(tmp_path / "in" / f"{number}.jpg", gps=GPS)
    token = CancelToken()
    seen = []

    def stop(event):
        seen.append(event)
        if getattr(event, "stage", "") == "read":
            token.cancel()

    with pytest.raises(Cancelled):
        run({"photos": [str(tmp_path / "in")], "out": str(tmp_path / "out")}, Reporter(stop, token=token))
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_requests_that_cannot_be_met(tmp_path):
    with pytest.raises(ParameterError, match="photos"):
        run({"photos": []})
    (tmp_path / "a").write_text("")
    with pytest.raises(Exception, match="cannot be written") as failure:
        run({"photos": [photo(tmp_path / "p.jpg")], "thumbnails": str(tmp_path / "a" / "b")})
    assert failure.type.__name__ == "OutputError"


def test_reading_facts_imports_no_torch(tmp_path):
    path = photo(tmp_path / "p.jpg", gps=GPS)
    code = (
        "import sys; from engine.events import Reporter; from engine.jobs import find_job; j = find_job('photo-facts');"
        f"j.run(j.parse({{'photos': [{path!r}], 'thumbnails': {str(tmp_path)!r}}}), Reporter());"
        "sys.exit(len({'torch', 'rasterio', 'scipy'} & set(sys.modules)))"
    )
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0


@real
def test_real_panoramas(tmp_path):
    answer = run({"photos": [str(DATA)], "thumbnails": str(tmp_path), "thumbnail_size": 200})
    found = {Path(one["path"]).stem: one for one in answer["photos"]}
    assert answer["figures"]["panoramas"] == 6 and answer["figures"]["with_position"] == 4
    assert found["lyon_1"]["heading_deg"] == pytest.approx(127.6)
    assert (found["lyon_1"]["lon"], found["lyon_1"]["lat"]) == pytest.approx((4.84372, 45.7482))
    assert found["lyon_1"]["taken_at"] == "2020-12-04T09:48:18+00:00"
    assert found["toulouse_1"]["heading_deg"] is None, "its three zeros are no heading"
    assert found["toulouse_1"]["camera"] == "GoPro Max" and found["toulouse_1"]["altitude_m"] == pytest.approx(217.854)
    assert found["stuttgart_1"]["lon"] is None
    assert all(Image.open(one["thumbnail"]).size == (200, 100) for one in answer["photos"])
