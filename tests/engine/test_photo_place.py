"""Position and heading written into copies of photos: read back, pixels untouched, nothing else lost."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from engine.errors import Cancelled, DamagedFileError, InputError, MissingFileError, OutputError, ParameterError
from engine.events import CancelToken, Reporter
from engine.jobs import find_job
from engine.panorama.photo_metadata import read_exif, read_gpano
from engine.photos.exif_gps import with_position
from engine.photos.facts import facts_of
from engine.photos.jpeg import EXIF, XMP, read_jpeg
from engine.photos.place import Place, placed

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "crossview" / "panoramas"
real = pytest.mark.skipif(not DATA.is_dir(), reason="The real panoramas (../shared/data/crossview) are not here.")
GPS = {
    ExifTags.GPS.GPSLatitudeRef: "N",
    ExifTags.GPS.GPSLatitude: (45.0, 44.0, 53.52),
    ExifTags.GPS.GPSLongitudeRef: "E",
    ExifTags.GPS.GPSLongitude: (4.0, 50.0, 37.392),
    ExifTags.GPS.GPSAltitude: 170.0,
    ExifTags.GPS.GPSAltitudeRef: b"\x00",
    ExifTags.GPS.GPSTimeStamp: (9.0, 48.0, 18.0),
    ExifTags.GPS.GPSDateStamp: "2020:12:04",
    ExifTags.GPS.GPSSpeed: 3.0,
    ExifTags.GPS.GPSImgDirectionRef: "M",
    ExifTags.GPS.GPSImgDirection: 33.0,
}
FAR, NEAR = Place(-70.76, -33.5, 271.25, 25.0), Place(4.8438, 45.7482, 12.0)


def jpeg(size=(128, 64), *, gps=None, xmp=None, **tags):
    exif = Image.Exif()
    if gps:
        exif[ExifTags.IFD.GPSInfo] = gps
    for name, value in tags.items():
        exif[getattr(ExifTags.Base, name)] = value
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), np.uint8))
    stream = io.BytesIO()
    picture.save(stream, "JPEG", **({"exif": exif} if len(exif) else {}), **({"xmp": xmp} if xmp else {}))
    return stream.getvalue()


def packet(inside="", attributes=""):
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="uuid:1" '
        f'xmlns:GPano="http://ns.google.com/photos/1.0/panorama/" {attributes}>{inside}</rdf:Description></rdf:RDF>'
        "</x:xmpmeta>\n" + " " * 500 + '\n<?xpacket end="w"?>'
    ).encode()


def read(data):
    """EXIF, GPano and GPS directory as Pillow reads them."""
    problems = []
    with Image.open(io.BytesIO(data)) as image:
        gps = dict(image.getexif().get_ifd(ExifTags.IFD.GPSInfo))
        return read_exif(image, problems), read_gpano(image, problems), gps, image.info


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def facts(data, folder):
    (folder / "made.jpg").write_bytes(data)
    return facts_of(str(folder / "made.jpg"))


def test_position_and_heading_are_read_back_and_the_pixels_are_the_same_bytes(tmp_path):
    before = jpeg(gps=GPS, xmp=packet("<GPano:ProjectionType>equirectangular</GPano:ProjectionType>"))
    after, _ = placed(before, FAR, name="a.jpg")
    assert read_jpeg(after, name="a").image == read_jpeg(before, name="b").image
    assert (pixels(after) == pixels(before)).all()
    exif, pano, gps, _ = read(after)
    assert exif.position == pytest.approx((-70.76, -33.5), abs=1e-9)
    assert exif.direction_deg == 271.25 and not exif.magnetic and pano.heading_deg == 271.25
    assert float(gps[ExifTags.GPS.GPSHPositioningError]) == 25.0
    assert gps[ExifTags.GPS.GPSProcessingMethod].endswith(b"MANUAL")
    told = facts(after, tmp_path)
    assert (told["heading_deg"], told["kind"]) == (271.25, "panorama") and not any("apart" in n for n in told["notes"])


def test_what_belonged_to_the_earlier_fix_goes_and_the_time_stays():
    far, notes = placed(jpeg(gps=GPS), FAR, name="a.jpg")
    _, _, gps, _ = read(far)
    assert ExifTags.GPS.GPSSpeed not in gps and ExifTags.GPS.GPSAltitude not in gps
    assert gps[ExifTags.GPS.GPSDateStamp] == "2020:12:04" and tuple(map(float, gps[ExifTags.GPS.GPSTimeStamp])) == (
        9,
        48,
        18,
    )
    assert any("altitude" in note for note in notes)
    near, notes = placed(jpeg(gps=GPS), NEAR, name="a.jpg")
    assert read(near)[0].altitude_m == 170.0 and not any("altitude" in note for note in notes)
    unturned, _ = placed(jpeg(gps=GPS), Place(1.0, 2.0), name="a.jpg")
    exif = read(unturned)[0]
    assert exif.direction_deg == 33.0 and exif.magnetic, "no heading was given: the file's own stays"


def test_other_metadata_stays_bit_for_bit():
    """Maker notes hold offsets from the block's begin: every byte of the block is where it was."""
    note = b"MAKER" + bytes(range(200))
    before = jpeg(gps=GPS, Make="GoPro", Model="Max", DateTime="2020:12:04 10:48:18", ImageDescription="ü street")
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "GoPro"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.MakerNote: note, ExifTags.Base.DateTimeOriginal: "2020:12:04 10:48:18"}
    stream = io.BytesIO()
    Image.new("RGB", (64, 32)).save(stream, "JPEG", exif=exif, icc_profile=b"profile" * 30, comment=b"hello")
    for data in (before, stream.getvalue()):
        after, _ = placed(data, FAR, name="a.jpg")
        old, new = read_jpeg(data, name="a"), read_jpeg(after, name="b")
        block, changed = old.content(EXIF), new.content(EXIF)
        differing = [n for n, (a, b) in enumerate(zip(block, changed, strict=False)) if a != b]
        assert len(differing) <= 6 and len(changed) > len(block)
        kept = [s for s in new.segments if not s[1].startswith((EXIF, XMP))]
        assert kept == [s for s in old.segments if not s[1].startswith((EXIF, XMP))]
    with Image.open(io.BytesIO(after)) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] == note
        assert image.info["icc_profile"] == b"profile" * 30 and image.info["comment"] == b"hello"


@pytest.mark.parametrize("order", ["<", ">"])
def test_blocks_of_both_byte_orders_with_and_without_gps(order):
    head = {"<": b"II*\x00", ">": b"MM\x00*"}[order] + struct.pack(order + "I", 8)
    make = struct.pack(order + "HHII", 0x010F, 2, 6, 26) + struct.pack(order + "I", 0)
    block = head + struct.pack(order + "H", 1) + make + b"GoPro\x00"
    for start in (block, with_position(block, lon=1, lat=1, heading_deg=1, accuracy_m=1, keep_altitude=True)):
        made = with_position(start, lon=-0.5, lat=-12.25, heading_deg=359.996, accuracy_m=None, keep_altitude=True)
        exif = Image.Exif()
        exif.load(b"Exif\x00\x00" + made)
        gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
        assert exif[ExifTags.Base.Make] == "GoPro"
        assert (gps[1], gps[3]) == ("S", "W") and tuple(map(float, gps[2])) == (12, 15, 0)
        assert float(gps[17]) == 0.0, "360° is 0°"
        assert ExifTags.GPS.GPSHPositioningError not in gps


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-180, 180), st.floats(-90, 90), st.one_of(st.none(), st.floats(-360, 360)), st.integers(0, 3))
def test_whatever_is_written_is_read(lon, lat, heading, kind):
    if abs(lon) < 1e-6 and abs(lat) < 1e-6:
        return  # what cameras write without a fix is read as no position, and refused: see below
    posed = packet("", 'GPano:PoseHeadingDegrees="0.0" GPano:PosePitchDegrees="2"')
    data = (jpeg(), jpeg(gps=GPS), jpeg((60, 40)), jpeg(xmp=posed))[kind]
    after, _ = placed(data, Place(lon, lat, heading), name="a.jpg")
    exif, pano, _, _ = read(after)
    assert exif.position == pytest.approx((lon, lat), abs=1e-8)
    if heading is not None:
        for found in (exif.direction_deg, pano.heading_deg if kind != 2 else exif.direction_deg):
            assert abs((found - heading + 180) % 360 - 180) < 0.006


def test_the_heading_of_a_crop_is_that_of_its_own_middle(tmp_path):
    crop = ('GPano:ProjectionType="equirectangular" GPano:FullPanoWidthPixels="400" GPano:FullPanoHeightPixels="200" '
            'GPano:CroppedAreaImageWidthPixels="200" GPano:CroppedAreaImageHeightPixels="100" '
            'GPano:CroppedAreaLeftPixels="150" GPano:CroppedAreaTopPixels="80"')  # fmt: skip
    after, _ = placed(jpeg((200, 100), xmp=packet("", crop)), FAR, name="a.jpg")
    told = facts(after, tmp_path)
    assert told["kind"] == "strip" and told["heading_deg"] == pytest.approx(271.25)
    assert read(after)[1].heading_deg == pytest.approx(271.25 - 45), "of the full panorama's middle"
    tilted = crop + ' GPano:PoseHeadingDegrees="10" GPano:PosePitchDegrees="5" GPano:PoseRollDegrees="-8"'
    after, _ = placed(jpeg((200, 100), xmp=packet("", tilted)), FAR, name="a.jpg")
    assert facts(after, tmp_path)["heading_deg"] == pytest.approx(271.25, abs=0.01)


def test_gpano_as_elements_as_attributes_and_absent(tmp_path):
    element = packet("<GPano:PoseHeadingDegrees>350.0</GPano:PoseHeadingDegrees><dc:rights>© me</dc:rights>")
    after, _ = placed(jpeg(xmp=element), FAR, name="a.jpg")
    text = read_jpeg(after, name="a").content(XMP).decode()
    assert (
        "<GPano:PoseHeadingDegrees>271.25</GPano:PoseHeadingDegrees>" in text and "<dc:rights>© me</dc:rights>" in text
    )
    assert text.count("PoseHeadingDegrees>") == 2 and 'rdf:about="uuid:1" xmlns:GPano' in text
    after, notes = placed(jpeg(), FAR, name="a.jpg")
    assert any("no full GPano" in note for note in notes)
    pano = read(after)[1]
    assert (pano.projection, pano.full, pano.crop_size, pano.crop_at) == (
        "equirectangular",
        (128, 64),
        (128, 64),
        (0, 0),
    )
    again, notes = placed(after, NEAR, name="a.jpg")
    assert read(again)[1].heading_deg == 12.0 and not any("GPano" in note for note in notes)


def test_a_flat_photo_is_not_called_a_panorama(tmp_path):
    after, _ = placed(jpeg((90, 60)), FAR, name="a.jpg")
    assert read_jpeg(after, name="a").content(XMP) is None
    told = facts(after, tmp_path)
    assert told["kind"] == "photo" and told["heading_deg"] == 271.25


def test_positions_in_xmp_do_not_stay_behind():
    lines = ('exif:GPSLatitude="45,44.892000N" exif:GPSLongitude="4,50.623200E" exif:GPSImgDirection="33/1" '
             'drone-dji:GpsLatitude="+45.7482"')  # fmt: skip
    after, _ = placed(jpeg(xmp=packet("", lines)), FAR, name="a.jpg")
    text = read_jpeg(after, name="a").content(XMP).decode()
    assert 'exif:GPSLatitude="33,30.000000S"' in text and 'exif:GPSLongitude="70,45.600000W"' in text
    assert 'drone-dji:GpsLatitude="-33.5000000"' in text and 'exif:GPSImgDirection="27125/100"' in text
    assert "45," not in text


def test_damaged_metadata_is_said(tmp_path):
    data = jpeg(gps=GPS)
    at = data.index(EXIF) + 6
    spoilt = data[: at + 8] + b"\xff" * 32 + data[at + 40 :]
    after, notes = placed(spoilt, FAR, name="a.jpg")
    assert any("EXIF is damaged" in note for note in notes) and read(after)[0].direction_deg == 271.25
    broken = b'<x:xmpmeta><rdf:Description GPano:ProjectionType="equirectangular" GPano:PoseHeadingDegrees="1"/>'
    after, notes = placed(jpeg(xmp=broken), FAR, name="a.jpg")
    assert any("XMP is damaged" in note for note in notes) and facts(after, tmp_path)["heading_deg"] == 271.25


def test_what_cannot_be_written_is_one_line():
    stream = io.BytesIO()
    Image.new("RGB", (8, 4)).save(stream, "PNG")
    with pytest.raises(InputError, match=r"a\.png.*JPEG photos alone"):
        placed(stream.getvalue(), FAR, name="a.png")
    data = jpeg()
    with pytest.raises(DamagedFileError, match="damaged"):
        placed(data[:30], FAR, name="a.jpg")
    full = read_jpeg(data, name="a").with_content(EXIF, b"II*\x00\x08\x00\x00\x00" + bytes(65_450), name="a").to_bytes()
    with pytest.raises(InputError, match="more than the 65,533"):
        placed(full, FAR, name="a.jpg")
    with pytest.raises(InputError, match="0° N 0° E"):
        placed(jpeg(), Place(0.0, 0.0, 5.0), name="a.jpg")


def run(reporter=None, **params):
    job = find_job("photo-place")
    return job.run(job.parse(params), reporter or Reporter())


def test_one_photo_becomes_a_copy_and_the_original_stays(tmp_path):
    original = tmp_path / "in" / "a.jpg"
    original.parent.mkdir()
    original.write_bytes(jpeg(gps=GPS))
    before = original.read_bytes()
    result = run(photo=str(original), lon=1.5, lat=2.5, heading=-90, accuracy=25, out=str(tmp_path / "out"))
    copy = tmp_path / "out" / "a.jpg"
    assert original.read_bytes() == before and [p.name for p in copy.parent.iterdir()] == ["a.jpg"]
    written = result["figures"]["written"][0]
    assert (written["copy"], written["heading_deg"]) == (str(copy), 270.0)
    assert facts_of(str(copy))["heading_deg"] == 270.0 and "photos place" in result["command"]
    with pytest.raises(OutputError, match="of that name already"):
        run(photo=str(original), lon=1.5, lat=2.5, out=str(tmp_path / "out"))
    (tmp_path / "out" / "mine.txt").write_text("kept")
    run(photo=str(original), lon=3, lat=4, out=str(tmp_path / "out"), overwrite=True)
    assert facts_of(str(copy))["lon"] == pytest.approx(3) and (tmp_path / "out" / "mine.txt").is_file()


def test_an_original_is_never_replaced(tmp_path):
    original, other = tmp_path / "a.jpg", tmp_path / "sub" / "a.jpg"
    other.parent.mkdir()
    for path in (original, other):
        path.write_bytes(jpeg())
    before = original.read_bytes()
    for photo in (original, tmp_path / "sub" / ".." / "a.jpg"):
        with pytest.raises(OutputError, match="originals are never changed"):
            run(photo=str(photo), lon=1, lat=2, out=str(tmp_path), overwrite=True)
    table = tmp_path / "t.csv"
    table.write_text("photo,lon,lat\nsub/a.jpg,1,2\na.jpg,1,2\n")
    with pytest.raises(OutputError, match="originals are never changed"):
        run(table=str(table), out=str(tmp_path), overwrite=True)
    assert original.read_bytes() == before
    (tmp_path / "res").mkdir()
    (tmp_path / "res" / "result.json").write_text("{}")
    with pytest.raises(OutputError, match="results of a run"):
        run(photo=str(original), lon=1, lat=2, out=str(tmp_path / "res"), overwrite=True)


def test_a_table_of_many_skips_the_broken_one(tmp_path):
    for name in ("1/a.jpg", "2/a.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(jpeg())
    (tmp_path / "c.jpg").write_text("no photo")
    table = tmp_path / "t.csv"
    table.write_text(
        "photo,lon,lat,heading_deg,accuracy_m,remark\n1/a.jpg,1,2,90,,x\n2/a.jpg,3,4,,25,\nc.jpg,5,6,,,\ngone.jpg,5,6,,,\n"
    )
    reporter = Reporter()
    result = run(reporter, table=str(table), out=str(tmp_path / "out"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a-2.jpg", "a.jpg"]
    assert facts_of(str(tmp_path / "out" / "a.jpg"))["heading_deg"] == 90
    assert facts_of(str(tmp_path / "out" / "a-2.jpg"))["lon"] == pytest.approx(3)
    assert [Path(s["name"]).name for s in result["figures"]["skipped"]] == ["c.jpg", "gone.jpg"]
    assert len(reporter.warnings) == 2
    table.write_text("photo,lon,lat\nc.jpg,1,2\n")
    with pytest.raises(InputError, match=r"c\.jpg"):
        run(table=str(table), out=str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("photo,lon\na,1\n", "lacks the column lat"),
        ("photo,lon,lat\n", "no line"),
        ("photo,lon,lat\na,1,95\n", "line 2: lat is '95'"),
        ("photo,lon,lat\na,1,\n", "line 2: photo, lon or lat is empty"),
        ("photo,lon,lat,heading_deg\na,1,2,north\n", "heading_deg is 'north'"),
        ("photo,lon,lat\na.jpg,1,2\na.jpg,3,4\n", "named twice"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, text, line):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=line):
        run(table=str(tmp_path / "t.csv"), out=str(tmp_path / "out"))


def test_requests_that_say_too_little_or_too_much(tmp_path):
    for params in ({}, {"photo": "a.jpg"}, {"photo": "a.jpg", "lon": 1}, {"table": "t.csv", "heading": 5},
                   {"photo": "a.jpg", "lon": 181, "lat": 0}):  # fmt: skip
        with pytest.raises(ParameterError):
            run(out=str(tmp_path / "out"), **params)
    with pytest.raises(MissingFileError):
        run(photo=str(tmp_path / "gone.jpg"), lon=1, lat=2, out=str(tmp_path / "out"))
    with pytest.raises(MissingFileError, match="no such table"):
        run(table=str(tmp_path / "gone.csv"), out=str(tmp_path / "out"))


def test_a_cancel_leaves_no_copy(tmp_path):
    rows = ["photo,lon,lat"]
    for number in range(4):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg())
        rows.append(f"{number}.jpg,1,2")
    (tmp_path / "t.csv").write_text("\n".join(rows))
    token = CancelToken()
    reporter = Reporter(lambda e: token.cancel() if getattr(e, "stage", "") == "write" else None, token=token)
    before = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(Cancelled):
        run(reporter, table=str(tmp_path / "t.csv"), out=str(tmp_path / "out"))
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@real
@pytest.mark.parametrize("name", ["lyon_1", "toulouse_1", "stuttgart_1"])
def test_real_panoramas_keep_all_but_the_place(name):
    before = (DATA / f"{name}.jpg").read_bytes()
    after, _ = placed(before, FAR, name=name)
    assert read_jpeg(after, name=name).image == read_jpeg(before, name=name).image
    exif, pano, _, _ = read(after)
    assert (
        exif.position == pytest.approx((-70.76, -33.5), abs=1e-8) and pano.heading_deg == exif.direction_deg == 271.25
    )
    with Image.open(io.BytesIO(before)) as old, Image.open(io.BytesIO(after)) as new:
        kept = {k: v for k, v in old.getexif().items() if k != ExifTags.IFD.GPSInfo}
        assert kept == {k: v for k, v in new.getexif().items() if k != ExifTags.IFD.GPSInfo}
        assert dict(old.getexif().get_ifd(ExifTags.IFD.Exif)) == dict(new.getexif().get_ifd(ExifTags.IFD.Exif))
