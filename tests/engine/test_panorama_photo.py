"""Photos as cameras write them: metadata that is there, absent, odd or damaged."""

from __future__ import annotations

import csv
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.panorama.photo import read_photo, read_pixels

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "crossview"
real = pytest.mark.skipif(not DATA.is_dir(), reason="The real photos (../shared/data/crossview) are not here.")


def gpano(**values):
    inside = "".join(f"<GPano:{name}>{value}</GPano:{name}>" for name, value in values.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
        f'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/">{inside}</rdf:Description></rdf:RDF></x:xmpmeta>'
    ).encode()


def photo(folder, size=(128, 64), *, xmp=None, exif=None, name="photo.jpg"):
    path = folder / name
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8))
    extra = {k: v for k, v in {"xmp": xmp, "exif": exif}.items() if v is not None}
    picture.save(path, **extra)
    return path


def exif_of(*, gps=None, **tags):
    exif = Image.Exif()
    if gps:
        exif[ExifTags.IFD.GPSInfo] = gps
    if tags:
        exif[ExifTags.IFD.Exif] = {getattr(ExifTags.Base, name): value for name, value in tags.items()}
    return exif


GPS = {
    ExifTags.GPS.GPSLatitudeRef: "S",
    ExifTags.GPS.GPSLatitude: (33.0, 30.0, 0.0),
    ExifTags.GPS.GPSLongitudeRef: "W",
    ExifTags.GPS.GPSLongitude: (70.0, 45.0, 36.0),
    ExifTags.GPS.GPSImgDirectionRef: "T",
    ExifTags.GPS.GPSImgDirection: 210.5,
}


def test_gpano_gives_crop_and_pose(tmp_path):
    xmp = gpano(
        ProjectionType="equirectangular",
        FullPanoWidthPixels=400,
        FullPanoHeightPixels=200,
        CroppedAreaImageWidthPixels=200,
        CroppedAreaImageHeightPixels=100,
        CroppedAreaLeftPixels=150,
        CroppedAreaTopPixels=80,
        PoseHeadingDegrees=350.0,
        FirstPhotoDate="2024-05-06T07:08:09Z",
    )
    found = read_photo(photo(tmp_path, (200, 100), xmp=xmp))
    assert found.is_panorama and found.heading_known and found.problems == ()
    view = found.view
    assert (view.hfov_deg, view.vfov_deg) == (180.0, 90.0)
    assert view.pitch_center_deg == pytest.approx(90 - 180 * 130 / 200)
    assert view.heading_deg == pytest.approx((350 + (250 / 400 * 360 - 180)) % 360)
    assert found.taken_at == datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone.utc)


def test_gpano_written_as_attributes_and_pose_of_a_tilted_camera(tmp_path):
    xmp = (
        b'<rdf:Description GPano:ProjectionType="equirectangular" GPano:PoseHeadingDegrees="12.5" '
        b"GPano:PosePitchDegrees='-3' GPano:PoseRollDegrees=\"4\"/>"
    )
    view = read_photo(photo(tmp_path, xmp=xmp)).view
    assert (view.heading_deg, view.pitch_deg, view.roll_deg) == (12.5, -3.0, 4.0)


def test_exif_gives_position_direction_and_time(tmp_path):
    exif = exif_of(gps=GPS, DateTimeOriginal="2023:01:02 03:04:05")
    found = read_photo(photo(tmp_path, exif=exif))
    assert found.position == pytest.approx((-70.76, -33.5))
    assert found.heading_known and found.view.heading_deg == 210.5
    assert found.taken_at == datetime(2023, 1, 2, 3, 4, 5)
    assert any("by its shape" in line for line in found.problems)


def test_three_zeros_are_no_heading(tmp_path):
    xmp = gpano(ProjectionType="equirectangular", PoseHeadingDegrees=0.0, PosePitchDegrees=0.0, PoseRollDegrees=0.0)
    found = read_photo(photo(tmp_path, xmp=xmp))
    assert not found.heading_known and found.view.heading_deg == 0
    assert any("know none" in line for line in found.problems)
    both = read_photo(photo(tmp_path, xmp=xmp, exif=exif_of(gps=GPS)))
    assert both.heading_known and both.view.heading_deg == 210.5


def test_directions_that_disagree_are_said(tmp_path):
    xmp = gpano(ProjectionType="equirectangular", PoseHeadingDegrees=100.0)
    found = read_photo(photo(tmp_path, xmp=xmp, exif=exif_of(gps=GPS | {ExifTags.GPS.GPSImgDirectionRef: "M"})))
    assert found.view.heading_deg == 100.0
    assert any("apart" in line for line in found.problems)


def test_an_ordinary_photo_is_told_from_a_panorama(tmp_path):
    plain = read_photo(photo(tmp_path, (120, 90)))
    assert not plain.is_panorama and not plain.heading_known
    assert any("Not a panorama" in line for line in plain.problems)
    lens = read_photo(photo(tmp_path, (120, 80), exif=exif_of(FocalLengthIn35mmFilm=18)))
    assert lens.view.hfov_deg == pytest.approx(90.0, abs=0.1)  # 18 mm on a 36 mm wide film
    strip = photo(tmp_path, (616, 112))
    assert any("strip" in line for line in read_photo(strip).problems)
    told = read_photo(strip, hfov_deg=360)
    assert told.is_panorama and told.view.vfov_deg == pytest.approx(65.45, abs=0.01)


def test_a_photo_on_its_side_is_put_upright(tmp_path):
    exif = exif_of()
    exif[ExifTags.Base.Orientation] = 6
    found = read_photo(photo(tmp_path, (120, 90), exif=exif))
    assert tuple(found.pixels.shape) == (3, 120, 90)
    assert tuple(read_pixels(photo(tmp_path, (120, 90), exif=exif)).shape) == (3, 120, 90)


def test_pixels_come_at_the_working_size_and_are_never_enlarged(tmp_path):
    path = photo(tmp_path, (512, 256), name="photo.png")
    assert tuple(read_photo(path, width=128).pixels.shape) == (3, 64, 128)
    assert tuple(read_photo(path, width=4096).pixels.shape) == (3, 256, 512)
    whole = read_pixels(path).float()
    small = read_photo(path, width=128).pixels.float()
    mean = whole.reshape(3, 64, 4, 128, 4).mean(dim=(2, 4))
    assert (small - mean).abs().max() <= 1.0
    with pytest.raises(ParameterError):
        read_photo(path, width=1)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1", "I;16"])
def test_every_mode_becomes_three_bands(tmp_path, mode):
    values = np.linspace(0, 255, 64 * 32).reshape(32, 64)
    if mode == "I;16":
        picture = Image.fromarray((values * 257).astype(np.uint16))
    else:
        picture = Image.fromarray(values.astype(np.uint8)).convert(mode)
    path = tmp_path / ("p.tif" if mode in ("CMYK", "I;16") else "p.png")
    picture.save(path)
    pixels = read_photo(path).pixels
    assert tuple(pixels.shape) == (3, 32, 64)
    if mode in ("L", "I;16"):
        np.testing.assert_allclose(pixels[0], values, atol=1)


def test_damaged_metadata_is_told_and_the_photo_is_read(tmp_path):
    path = photo(tmp_path, exif=exif_of(gps=GPS))
    data = bytearray(path.read_bytes())
    start = data.index(b"Exif\x00\x00") + 6
    data[start + 8 : start + 40] = b"\xff" * 32  # the first directory
    path.write_bytes(bytes(data))
    found = read_photo(path)
    assert found.position is None and tuple(found.pixels.shape) == (3, 64, 128)
    xmp = gpano(ProjectionType="equirectangular", PoseHeadingDegrees="north", PosePitchDegrees=900)
    found = read_photo(photo(tmp_path, xmp=xmp))
    assert not found.heading_known and any("'north'" in line for line in found.problems)
    assert found.view.pitch_deg == 0 and any("cannot be" in line for line in found.problems)
    wrong = gpano(ProjectionType="equirectangular", FullPanoWidthPixels=100, FullPanoHeightPixels=50,
                  CroppedAreaImageWidthPixels=90, CroppedAreaImageHeightPixels=45, CroppedAreaLeftPixels=90,
                  CroppedAreaTopPixels=0)  # fmt: skip
    assert any("does not fit" in line for line in read_photo(photo(tmp_path, xmp=wrong)).problems)
    nowhere = exif_of(gps=GPS | {ExifTags.GPS.GPSLatitude: (0.0, 0.0, 0.0), ExifTags.GPS.GPSLongitude: (0, 0, 0)})
    assert read_photo(photo(tmp_path, exif=nowhere)).position is None
    far = exif_of(gps=GPS | {ExifTags.GPS.GPSLatitude: (133.0, 0.0, 0.0), ExifTags.GPS.GPSImgDirection: 400.0})
    found = read_photo(photo(tmp_path, exif=far))
    assert found.position is None and not found.heading_known and len(found.problems) == 3


def test_files_that_cannot_be_read_are_one_clear_line(tmp_path):
    with pytest.raises(MissingFileError, match=r"no\.jpg"):
        read_photo(tmp_path / "no.jpg")
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    with pytest.raises(DamagedFileError, match=r"text\.jpg: this is no image"):
        read_photo(text)
    cut = photo(tmp_path, (512, 256))
    cut.write_bytes(cut.read_bytes()[:2000])
    with pytest.raises(DamagedFileError, match="damaged"):
        read_photo(cut)


def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_decoded(tmp_path):
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20000, 10000)).save(bomb)
    assert bomb.stat().st_size < 1_000_000
    with pytest.raises(DamagedFileError, match="too large"):
        read_photo(bomb)


@real
def test_real_panoramas_say_where_and_how_they_were_taken():
    with (DATA / "panoramas" / "panoramas.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        found = read_photo(DATA / "panoramas" / row["file"], width=256)
        assert found.is_panorama and tuple(found.pixels.shape) == (3, 128, 256)
        if row["heading_from"].startswith("EXIF"):
            assert found.heading_known and found.view.heading_deg == pytest.approx(float(row["heading_deg"]))
        else:
            assert not found.heading_known  # Toulouse's three zeros and Stuttgart's silence
        if not row["file"].startswith("stuttgart"):
            assert found.position == pytest.approx((float(row["lon"]), float(row["lat"])), abs=1e-6)
            assert found.taken_at is not None


@real
def test_real_photos_of_a_phone_are_no_panoramas():
    for path in sorted((DATA / "perspective").glob("*_ground.jpg")):
        found = read_photo(path)
        assert not found.is_panorama and any("Not a panorama" in line for line in found.problems)
