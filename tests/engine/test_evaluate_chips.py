"""Which files make a chip: folders, stray files, twins, the published layout of Sen1Floods11."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from engine.errors import DamagedFileError, MissingFileError, ParameterError
from engine.mapping.flood.chips import find_chips


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_only_files_with_a_partner_are_chips(tmp_path):
    touch(
        tmp_path,
        "a/One_S1.tif",
        "a/One_label.tif",
        "b/deep/er/Two_S1.TIF",
        "b/deep/Two_label.tiff",
        "b/Two_S2.tif",
        "Only_S2.tif",
        "Only_label.tif",
        "NoLabel_S1.tif",
        "NoImage_label.tif",
        "chips.csv",
        "One_S1.tif.aux.xml",
        "One.tif",
        "_S1.tif",
        "_label.tif",
        ".hidden/Three_S1.tif",
        ".hidden/Three_label.tif",
    )
    (tmp_path / "Folder_S1.tif").mkdir()
    touch(tmp_path, "Folder_label.tif")
    chips = {c.name: c for c in find_chips(str(tmp_path)).chips}
    assert set(chips) == {"One", "Two", "Only"}
    assert chips["Two"].s1 == tmp_path / "b/deep/er/Two_S1.TIF"
    assert chips["Two"].s2 == tmp_path / "b/Two_S2.tif"
    assert chips["Only"].s1 is None


@pytest.mark.parametrize("twin", ["b/One_S1.tif", "b/One_label.tif", "a/One_S1.tiff", "b/One_S2.tif"])
def test_a_name_that_occurs_twice_is_an_error(tmp_path, twin):
    touch(tmp_path, "a/One_S1.tif", "a/One_label.tif", "a/One_S2.tif", twin)
    with pytest.raises(ParameterError, match="'One' occurs 2 times"):
        find_chips(str(tmp_path))


def test_twins_without_a_partner_are_strays(tmp_path):
    touch(tmp_path, "a/One_S1.tif", "b/One_S1.tif", "a/Two_S1.tif", "a/Two_label.tif")
    assert [c.name for c in find_chips(str(tmp_path)).chips] == ["Two"]


def test_the_order_of_files_on_disk_does_not_matter(tmp_path):
    names = [f"Chip_{i}_{role}.tif" for i in range(12) for role in ("S1", "label")]
    shuffled = random.Random(3).sample(names, len(names))
    touch(tmp_path, *shuffled)
    assert [c.name for c in find_chips(str(tmp_path)).chips] == sorted(f"Chip_{i}" for i in range(12))


def test_a_folder_without_chips_and_a_path_that_is_none_are_told(tmp_path):
    with pytest.raises(ParameterError, match="no labelled chip"):
        find_chips(str(tmp_path))
    with pytest.raises(MissingFileError, match="nowhere"):
        find_chips(str(tmp_path / "nowhere"))
    touch(tmp_path, "pairs.csv")
    with pytest.raises(ParameterError, match="is a file"):
        find_chips(str(tmp_path / "pairs.csv"))


def test_kind_and_split(tmp_path):
    touch(tmp_path, "val/One_S1.tif", "val/One_label.tif", "train/Two_S1.tif", "train/Two_label.tif")
    assert [c.name for c in find_chips(f"folder:{tmp_path}").chips] == ["One", "Two"]
    assert [c.name for c in find_chips(f"folder:{tmp_path}@val").chips] == ["One"]
    assert [c.name for c in find_chips(f"{tmp_path}@train").chips] == ["Two"]
    with pytest.raises(ParameterError, match="'test'"):
        find_chips(f"folder:{tmp_path}@test")
    with pytest.raises(ParameterError, match="no data kind 'sen2floods'"):
        find_chips(f"sen2floods:{tmp_path}")


@pytest.mark.parametrize("name", ["a@b", "folder:x", "chips@val"])
def test_colons_and_at_signs_in_a_real_path_are_just_letters(tmp_path, name, monkeypatch):
    touch(tmp_path / name, "One_S1.tif", "One_label.tif")
    monkeypatch.chdir(tmp_path)
    assert [c.name for c in find_chips(name).chips] == ["One"]
    assert [c.name for c in find_chips(str(tmp_path / name)).chips] == ["One"]


def sen1floods11(root: Path) -> Path:
    """The published layout of v1.1 in small."""
    hand = root / "v1.1" / "data" / "flood_events" / "HandLabeled"
    for name in ("Ghana_1", "Ghana_2", "Spain_3", "Bolivia_4"):
        touch(hand, f"S1Hand/{name}_S1Hand.tif", f"S2Hand/{name}_S2Hand.tif", f"LabelHand/{name}_LabelHand.tif")
        touch(hand, f"JRCWaterHand/{name}_JRCWaterHand.tif", f"S1OtsuLabelHand/{name}_S1OtsuLabelHand.tif")
    touch(hand, "S1Hand/Unlabelled_9_S1Hand.tif")
    splits = root / "v1.1" / "splits" / "flood_handlabeled"
    splits.mkdir(parents=True)

    def rows(*names):
        return "".join(f"{n}_S1Hand.tif,{n}_LabelHand.tif\r\n" for n in names)

    (splits / "flood_train_data.csv").write_text(rows("Ghana_2", "Ghana_1"), newline="")
    (splits / "flood_valid_data.csv").write_text(rows("Spain_3"), newline="")
    (splits / "flood_test_data.csv").write_text(rows("Spain_3", "Gone_5"), newline="")
    (splits / "flood_bolivia_data.csv").write_text(rows("Bolivia_4"), newline="")
    return root / "v1.1"


@pytest.mark.parametrize("below", ["", "..", "data", "data/flood_events", "data/flood_events/HandLabeled"])
def test_the_published_layout_of_sen1floods11(tmp_path, below):
    place = (sen1floods11(tmp_path) / below).resolve()
    chips = find_chips(f"sen1floods11:{place}").chips
    assert [c.name for c in chips] == ["Bolivia_4", "Ghana_1", "Ghana_2", "Spain_3"]
    assert all(c.s1.name == f"{c.name}_S1Hand.tif" and c.label.name == f"{c.name}_LabelHand.tif" for c in chips)
    assert all(c.s2 is not None and c.numbers == "VV=1,VH=2" for c in chips)
    train = find_chips(f"sen1floods11:{place}@train").chips
    assert [c.name for c in train] == ["Ghana_1", "Ghana_2"]
    assert find_chips(f"sen1floods11:{place}@val") == find_chips(f"sen1floods11:{place}@valid")
    assert [c.name for c in find_chips(f"sen1floods11:{place}@bolivia").chips] == ["Bolivia_4"]


def test_what_a_split_lists_and_the_disk_lacks_is_unmatched(tmp_path):
    found = find_chips(f"sen1floods11:{sen1floods11(tmp_path)}@test")
    assert [c.name for c in found.chips] == ["Spain_3"]
    assert list(found.unmatched) == ["Gone_5"]
    assert "Gone_5_S1Hand.tif" in found.unmatched["Gone_5"]


def test_faults_of_the_layout_are_told(tmp_path):
    root = sen1floods11(tmp_path)
    with pytest.raises(ParameterError, match="no split 'nonsense'"):
        find_chips(f"sen1floods11:{root}@nonsense")
    lists = root / "splits" / "flood_handlabeled"
    (lists / "flood_valid_data.csv").write_text("just one column\n")
    with pytest.raises(DamagedFileError, match="row 1"):
        find_chips(f"sen1floods11:{root}@valid")
    (lists / "flood_valid_data.csv").write_text("../../x_S1Hand.tif,y_LabelHand.tif\n")
    with pytest.raises(DamagedFileError, match="row 1"):
        find_chips(f"sen1floods11:{root}@valid")
    (lists / "flood_valid_data.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DamagedFileError):
        find_chips(f"sen1floods11:{root}@valid")
    (lists / "flood_valid_data.csv").unlink()
    with pytest.raises(MissingFileError, match=r"flood_valid_data\.csv"):
        find_chips(f"sen1floods11:{root}@valid")
    with pytest.raises(ParameterError, match="S1Hand"):
        find_chips(f"sen1floods11:{tmp_path / 'v1.1' / 'splits'}")
