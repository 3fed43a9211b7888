"""Sets of ground and overhead images in their published layouts; each fixture is laid out as the data set is."""

from __future__ import annotations

import csv
import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from engine.crossview.data.find import find_set
from engine.crossview.data.items import joined
from engine.crossview.data.vigor import gsd_of
from engine.errors import DamagedFileError, MissingFileError, ParameterError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "crossview"


def picture(path: Path, columns: int = 4, rows: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (columns, rows), (90, 120, 60)).save(path)


@pytest.fixture
def cvusa(tmp_path: Path) -> Path:
    root = tmp_path / "CVUSA"
    (root / "splits").mkdir(parents=True)
    for split, names in (("train", ("0000002", "0000007", "0000009")), ("val", ("0000011",))):
        lines = []
        for name in names:
            lines.append(f"bingmap/19/{name}.jpg,streetview/panos/{name}.jpg,streetview/annotations/{name}.png")
            picture(root / "bingmap" / "19" / f"{name}.jpg")
            picture(root / "streetview" / "panos" / f"{name}.jpg", 22, 4)
        (root / "splits" / f"{split}-19zl.csv").write_text("\n".join(lines) + "\n")
    (root / "bingmap" / "19" / "0000009.jpg").unlink()
    return root


def test_cvusa(cvusa):
    found = find_set(f"cvusa:{cvusa}")
    assert [g.name for g in found.grounds] == ["0000002", "0000007"]
    assert [m.positive for m in found.matches] == [0, 1]
    assert found.left_out == (("0000009", f"{cvusa / 'bingmap' / '19' / '0000009.jpg'}: there is no such file."),)
    view = found.grounds[0].view
    assert (view.hfov_deg, view.vfov_deg, view.pitch_center_deg, view.heading_deg) == (360, 65.45, 0, 0)
    assert 0.2 < found.overheads[0].gsd_m < 0.27
    assert len(find_set(f"cvusa:{cvusa}@val").grounds) == 1
    with pytest.raises(ParameterError, match="no split 'test'"):
        find_set(f"cvusa:{cvusa}@test")
    (cvusa / "splits" / "val-19zl.csv").write_text("bingmap/19/0000011.jpg\n")
    with pytest.raises(DamagedFileError, match="line 1: has 1 column"):
        find_set(f"cvusa:{cvusa}@val")


@pytest.fixture
def cvact(tmp_path: Path) -> Path:
    root = tmp_path / "CVACT"
    names = [f"__-Dn{i}IFxvZBCn1873qkqXA" for i in range(6)]
    for folder, kept in (("ANU_data_small", names[:5]), ("ANU_data_test", names[3:])):
        for name in kept:
            picture(root / folder / "streetview" / f"{name}_grdView.jpg", 8, 4)
            picture(root / folder / "satview_polish" / f"{name}_satView_polish.jpg")
    utm = np.array([[692000.0 + 30 * i, 6093000.0] for i in range(6)])
    sets = {
        "trainSet": {"trainNum": 3, "trainInd": np.array([[1], [2], [5]])},
        "valSet": {"valNum": 1, "valInd": np.array([[3]])},
        "valSetAll": {"valNum": 3, "valInd": np.array([[4], [5], [6]])},
    }
    savemat(root / "ACT_data.mat", {"panoIds": np.array(names), "utm": utm, **sets})
    return root


def test_cvact(cvact):
    found = find_set(f"cvact:{cvact}")
    assert [g.name[5] for g in found.grounds] == ["0", "1", "4"]
    lon, lat = found.grounds[0].lonlat
    assert 148.9 < lon < 149.3 and -35.5 < lat < -35.1
    assert [g.name[5] for g in find_set(f"cvact:{cvact}@val").grounds] == ["2"]
    test = find_set(f"cvact:{cvact}@test")
    assert [g.name[5] for g in test.grounds] == ["3", "4", "5"]
    assert "ANU_data_test" in str(test.grounds[0].file)
    (cvact / "ACT_data.mat").write_bytes(b"no matlab file")
    with pytest.raises(DamagedFileError, match="panoIds cannot be read"):
        find_set(f"cvact:{cvact}")
    (cvact / "ACT_data.mat").unlink()
    with pytest.raises(MissingFileError, match=r"ACT_data\.mat"):
        find_set(f"cvact:{cvact}")


LINE = "{pano} {t0} -71.0 -141.0 {t1} -74.0 188.0 {t2} 256.0 -138.0 {t3} 254.0 190.0"


@pytest.fixture
def vigor(tmp_path: Path) -> Path:
    root = tmp_path / "VIGOR"
    tiles = [f"satellite_41.854{i}_-87.682{i}.png" for i in range(5)]
    panos = [f"id{i},41.854423,-87.682638,.jpg" for i in range(3)]
    for city in ("Chicago", "NewYork"):
        for name in tiles:
            picture(root / city / "satellite" / name)
        for name in panos:
            picture(root / city / "panorama" / name, 8, 4)
        home = root / "splits" / city
        home.mkdir(parents=True)
        (home / "satellite_list.txt").write_text("\n".join(tiles) + "\n")
        lines = [
            LINE.format(pano=pano, t0=tiles[n // 2], t1=tiles[2], t2=tiles[3], t3=tiles[4])
            for n, pano in enumerate(panos)
        ]
        (home / "same_area_balanced_train.txt").write_text("\n".join(lines[:2]) + "\n")
        (home / "same_area_balanced_test.txt").write_text(lines[2] + "\n")
        (home / "pano_label_balanced.txt").write_text("\n".join(lines) + "\n")
    return root


def test_vigor_is_many_to_one_with_semi_positives_and_offsets(vigor):
    found = find_set(f"vigor:{vigor}")
    assert len(found.grounds) == 4 and len(found.overheads) == 10
    assert [m.positive for m in found.matches] == [0, 0, 5, 5], "two panoramas of one tile"
    one = found.matches[0]
    assert one.offset == (-71.0, 141.0), "columns are westwards in the file, eastwards here"
    assert one.semi == (2, 3, 4) and one.semi_offsets[0] == (-74.0, -188.0)
    assert one.tiles == (0, 2, 3, 4)
    assert {g.group for g in found.grounds} == {"Chicago", "NewYork"}
    assert found.grounds[0].lonlat == (-87.682638, 41.854423)
    assert found.overheads[0].gsd_m == pytest.approx(0.1112, abs=2e-4)
    assert len(find_set(f"vigor:{vigor}@same-test").grounds) == 2
    assert [g.group for g in find_set(f"vigor:{vigor}@cross-train").grounds] == ["NewYork"] * 3
    assert [g.group for g in find_set(f"vigor:{vigor}@cross-test").grounds] == ["Chicago"] * 3
    assert len(find_set(f"vigor:{vigor}@Chicago-train").grounds) == 2
    with pytest.raises(ParameterError, match="no split 'paris'"):
        find_set(f"vigor:{vigor}@paris")


def test_vigor_takes_the_corrected_labels_and_says_what_is_missing(vigor):
    home = vigor / "splits__corrected" / "Chicago"
    home.mkdir(parents=True)
    tiles = (vigor / "splits" / "Chicago" / "satellite_list.txt").read_text()
    (home / "satellite_list.txt").write_text(tiles + "satellite_1_2.png\n")
    name = tiles.split()[1]
    pano = "id0,41.854423,-87.682638,.jpg"
    (home / "same_area_balanced_train__corrected.txt").write_text(
        LINE.format(pano=pano, t0=name, t1=name, t2="satellite_1_2.png", t3=name) + "\n"
    )
    found = find_set(f"vigor:{vigor}@Chicago-train")
    assert [m.positive for m in found.matches] == [1] and found.matches[0].semi == (1, 1)
    assert found.left_out[0][0] == "Chicago/satellite_1_2.png"
    (home / "same_area_balanced_train__corrected.txt").write_text(f"{pano} {name} 3 x\n")
    with pytest.raises(DamagedFileError, match="has 4 values; expected 13"):
        find_set(f"vigor:{vigor}@Chicago-train")


def write_pairs(folder: Path, rows: list[dict], columns: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "pairs.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns.split(","), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return folder


COLUMNS = "pair_id,panorama,overhead,heading_deg,hfov_deg,vfov_deg,gsd_m,pitch_center_deg,lon,lat,split,note"


def test_pairs_csv(tmp_path):
    for name in ("a_pano.png", "a_tile.png", "b_pano.png", "c_tile.png"):
        picture(tmp_path / "city" / name)
    rows = [
        {"pair_id": "a", "panorama": "a_pano.png", "overhead": "a_tile.png", "heading_deg": 30, "hfov_deg": 360,
         "vfov_deg": 65, "gsd_m": 0.25, "pitch_center_deg": -5, "lon": 8.5, "lat": 47.1, "split": "train"},
        {"pair_id": "b", "panorama": "b_pano.png", "overhead": "a_tile.png", "split": "train"},
        {"pair_id": "c", "overhead": "c_tile.png", "split": "test"},
        {"pair_id": "d", "panorama": "gone.png", "overhead": "c_tile.png", "split": "test"},
    ]  # fmt: skip
    home = write_pairs(tmp_path / "city", rows, COLUMNS)
    found = find_set(str(home))
    assert [g.name for g in found.grounds] == ["a", "b"]
    assert [m.positive for m in found.matches] == [0, 0]
    assert len(found.overheads) == 2, "c is in the gallery without a panorama"
    a, b = found.grounds
    assert (a.view.heading_deg, a.view.vfov_deg, a.view.pitch_center_deg, a.heading_known) == (30, 65, -5, True)
    assert (b.view.heading_deg, b.view.hfov_deg, b.heading_known) == (0, 360, False)
    assert a.lonlat == (8.5, 47.1) and found.overheads[1].gsd_m is None
    assert found.left_out[0][0] == "d"
    assert len(find_set(f"pairs-csv:{home}@train").overheads) == 1
    both = joined([found, found])
    assert [m.positive for m in both.matches] == [0, 0, 2, 2] and len(both.overheads) == 4
    with pytest.raises(ParameterError, match="no split 'val'; it has test, train"):
        find_set(f"pairs-csv:{home}@val")


WHOLE = {"pair_id": "a", "panorama": "p.png", "overhead": "p.png"}


@pytest.mark.parametrize(
    ("row", "columns", "said"),
    [
        ({**WHOLE, "heading_deg": "north"}, COLUMNS, "line 2: heading_deg is 'north'"),
        ({**WHOLE, "hfov_deg": 500}, COLUMNS, "line 2: hfov_deg"),
        ({**WHOLE, "gsd_m": 0}, COLUMNS, "gsd_m is 0"),
        ({"pair_id": "a", "panorama": "p.png"}, "pair_id,panorama", "no column overhead"),
    ],
)
def test_lists_that_are_wrong_are_one_line(tmp_path, row, columns, said):
    picture(tmp_path / "p.png")
    with pytest.raises(DamagedFileError, match=said):
        find_set(str(write_pairs(tmp_path, [row], columns)))


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(MissingFileError, match="does not exist"):
        find_set(str(tmp_path / "none"))
    with pytest.raises(MissingFileError, match=r"holds no pairs\.csv"):
        find_set(str(tmp_path))
    with pytest.raises(ParameterError, match="no data kind 'kitti'"):
        find_set("kitti:somewhere")


def real(*parts: str) -> Path:
    path = SHARED.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"needs the shared data {path}")
    return path


def test_real_pairs():
    found = find_set(str(real("pairs")))
    assert len(found.grounds) == len(found.overheads) == 31 and found.left_out == ()
    by_kind = {prefix: [g for g in found.grounds if g.name.startswith(prefix)] for prefix in ("cvusa", "cvact")}
    assert {g.view.vfov_deg for g in by_kind["cvusa"]} == {65.45}
    assert {g.view.vfov_deg for g in by_kind["cvact"]} == {180.0}


@pytest.mark.parametrize("city", ["chicago", "newyork"])
def test_real_vigor_labels_agree_with_the_coordinates(tmp_path, city):
    name = {"chicago": "Chicago", "newyork": "NewYork"}[city]
    with gzip.open(real("labels", f"vigor_{city}_labels.csv.gz"), "rt", newline="") as stream:
        rows = [row for _, row in zip(range(300), csv.DictReader(stream), strict=False)]
    home = tmp_path / "splits__corrected" / name
    home.mkdir(parents=True)
    lines, tiles = [], {}
    for row in rows:
        parts = [row["pano"]]
        for n in range(4):
            parts += [row[f"tile{n}"], row[f"row_off{n}"], row[f"col_off{n}"]]
            tiles[row[f"tile{n}"]] = True
        lines.append(" ".join(parts))
    (home / "same_area_balanced_train__corrected.txt").write_text("\n".join(lines))
    (home / "satellite_list.txt").write_text("\n".join(tiles))
    for folder, names in (("panorama", [row["pano"] for row in rows]), ("satellite", tiles)):
        (tmp_path / name / folder).mkdir(parents=True)
        for one in names:
            (tmp_path / name / folder / one).touch()
    found = find_set(f"vigor:{tmp_path}@{name}-train")
    assert len(found.grounds) == len(rows) and not found.left_out
    worst, inside = 0.0, 0
    for ground, match in zip(found.grounds, found.matches, strict=True):
        offsets = (match.offset, *match.semi_offsets)
        assert len(match.tiles) == 4
        inside += max(map(abs, match.offset)) <= 320 / 2 + 6
        for number, (south, east) in zip(match.tiles, offsets, strict=True):
            tile = found.overheads[number]
            metres = 111_320 * math.cos(math.radians(tile.lonlat[1]))
            worst = max(
                worst,
                abs((tile.lonlat[1] - ground.lonlat[1]) * 111_200 / gsd_of(tile.file.name) - south),
                abs((ground.lonlat[0] - tile.lonlat[0]) * metres / gsd_of(tile.file.name) - east),
            )
    assert worst <= 8, "pixels; the sign of the columns would be hundreds"
    assert inside == len(rows), "the positive shows the camera in its inner quarter"


def test_real_pairs_come_into_their_frames():
    import torch

    from engine.training.crossview.images import FrameStore
    from engine.training.crossview.network import framing
    from engine.training.crossview.request import CrossViewTrainRequest

    found = find_set(str(real("pairs")))
    request = CrossViewTrainRequest(out="x", data=("y",), ground_size="32x128", overhead_size=64)
    frames = framing(request, found)
    assert frames.ground.vfov_deg == 65.45 and 60 < frames.overhead.extent_m < 200
    store = FrameStore(found, frames, most_bytes=0)
    chosen = [next(i for i, g in enumerate(found.grounds) if g.name.startswith(kind)) for kind in ("cvusa", "cvact")]
    street, above, seen = store.ground(chosen), store.overhead(chosen), store.birds_eye(chosen)
    assert street.shape == (2, 4, 32, 128) and above.shape == seen.shape == (2, 4, 64, 64)
    assert bool((street[:, 3] == 255).all()), "both show the whole frame"
    assert 0.5 < float((seen[:, 3] == 255).float().mean()) < 1, "a strip does not see the ground at the camera's feet"
    assert all(float(x[:, :3].float().std()) > 10 for x in (street, above, seen))
    assert torch.equal(store.ground(chosen), street)
