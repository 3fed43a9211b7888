"""The cross-view study: cells are kept and gone on with, the tables say what the ranks say."""

from __future__ import annotations

import json
import sys

import pytest

from engine.training.run_folder import RESULT
from tests.engine.crossview_worlds import write_world
from tests.engine.test_study_scripts import script


def test_tables_are_of_the_ranks_and_finished_cells_are_kept(tmp_path, monkeypatch, capsys):
    study = script("study_crossview")
    trained: list[tuple[str, int]] = []

    def instead(request, reporter, *, brief):
        """What a training leaves: with labels all panoramas are found, without every other one."""
        trained.append((request.out, request.seed))
        out = study.Path(request.out)
        out.mkdir(parents=True, exist_ok=True)
        ranks = {f"p{i}": 1 if request.labels == 1 or i % 2 == 0 else 3 for i in range(20)}
        (out / study.RANKS).write_text(json.dumps({"city": ranks}))
        (out / RESULT).write_text("{}")
        return {}

    monkeypatch.setattr(study, "run", instead)
    given = [str(tmp_path), "--data", "a", "--test", "b", "--grid", "labels", "--seeds", "0,1", "--steps", "9"]
    monkeypatch.setattr(sys, "argv", ["study_crossview", *given, "--set", "width=0.5"])
    study.main()
    assert len(trained) == 2 * len(study.GRIDS["labels"])
    study.main()
    assert len(trained) == 2 * len(study.GRIDS["labels"]), "finished cells are kept"
    told = json.loads((tmp_path / "study.json").read_text())["labels"]
    assert told[study.BASE]["r@1"]["value"] == 0.5 and told[study.BASE]["difference"] is None
    assert told["all labels, supervised"]["difference"]["value"] == pytest.approx(0.5)
    assert told["1 % of the labels"]["difference"]["value"] == 0
    assert told[study.BASE]["by_seed"] == [0.5, 0.5]
    shown = capsys.readouterr().out
    assert "| 10 % of the labels | 2 | 0.500 (" in shown
    monkeypatch.setattr(sys, "argv", ["study_crossview", str(tmp_path), "--data", "a", "--test", "b", "--grid", "x"])
    with pytest.raises(SystemExit, match="no grid x"):
        study.main()


def test_the_row_of_the_matcher_is_found_without_training(tmp_path, monkeypatch, capsys):
    study = script("study_crossview")
    city = write_world(tmp_path / "city", 12, extra=3, headings=True)
    given = [str(tmp_path / "out"), "--data", str(city), "--test", str(city), "--grid", "start", "--seeds", "0"]
    monkeypatch.setattr(sys, "argv", ["study_crossview", *given, "--only", study.MATCHER, "--set", "vfov=120"])
    study.main()
    ranks = study.ranks_of(study.cell_folder(tmp_path / "out", study.MATCHER, 0))
    assert len(ranks) == 12 and sum(rank == 1 for rank in ranks.values()) >= 8
    assert min(ranks.values()) >= 1 and max(ranks.values()) <= 15
    assert f"| {study.MATCHER} | 1 | " in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["study_crossview", *given, "--only", "x"])
    with pytest.raises(SystemExit, match="No grid asked for has x"):
        study.main()


def test_rows_of_the_curriculum_begin_with_one_cold_start(tmp_path, monkeypatch, capsys):
    study = script("study_crossview")
    asked = {}

    def instead(request, reporter, *, brief):
        out = study.Path(request.out)
        asked[out.parent.name] = request
        out.mkdir(parents=True, exist_ok=True)
        (out / study.RANKS).write_text(json.dumps({"city": {"a": 1 + (request.start is None)}}))
        (out / RESULT).write_text("{}")
        return {}

    monkeypatch.setattr(study, "run", instead)
    given = [str(tmp_path), "--data", "a", "--test", "b", "--grid", "curriculum", "--seeds", "3", "--steps", "1200"]
    monkeypatch.setattr(sys, "argv", ["study_crossview", *given])
    study.main()
    cold = asked.pop("cold-start-alone")
    assert (cold.steps, cold.stages, cold.start) == (494, "intra,cross", None)
    assert len(asked) == len(study.GRIDS["curriculum"]) - 1
    for request in asked.values():
        assert (request.steps, request.stages, request.seed) == (706, "curriculum", 3)
        assert study.Path(request.start) == study.cell_folder(tmp_path, study.START, 3) / study.MODEL
    told = json.loads((tmp_path / "study.json").read_text())["curriculum"]
    assert told[study.START]["difference"]["value"] == -1 and told[study.THEN]["difference"] is None
    assert f"R@1 less *{study.THEN}*" in capsys.readouterr().out
    assert told[study.START]["by_place"] == [{"city": 0.0}] and told[study.START]["share"]["value"] == 0
    monkeypatch.setattr(sys, "argv", ["study_crossview", *given, "--tell", "--against", study.START])
    study.main()
    told = json.loads((tmp_path / "study.json").read_text())["curriculum"]
    assert told[study.THEN]["difference"]["value"] == 1 and told[study.THEN]["share"]["value"] is None
    monkeypatch.setattr(sys, "argv", ["study_crossview", *given, "--tell", "--against", "nothing"])
    with pytest.raises(SystemExit, match="no variant nothing"):
        study.main()


def test_a_row_is_compared_over_the_seeds_and_places_that_both_have(tmp_path, monkeypatch, capsys):
    study = script("study_crossview")

    def finished(variant: str, seed: int, place: str, ranks: dict[str, int]) -> None:
        folder = study.cell_folder(tmp_path, variant, seed)
        folder.mkdir(parents=True)
        (folder / study.RANKS).write_text(json.dumps({place: ranks}))
        (folder / RESULT).write_text("{}")

    finished(study.START, 0, "/here/city", {"a": 1, "b": 1})
    finished(study.START, 1, "/elsewhere/city", {"a": 9, "b": 9})
    finished("CycleGAN", 1, "/elsewhere/city", {"a": 1, "b": 9})
    given = [str(tmp_path), "--data", "a", "--test", "b", "--grid", "restyle", "--seeds", "0,1", "--tell"]
    monkeypatch.setattr(sys, "argv", ["study_crossview", *given])
    study.main()
    told = json.loads((tmp_path / "study.json").read_text())["restyle"]
    assert told[study.START]["r@1"]["value"] == 0.5
    assert told["CycleGAN"]["difference"]["value"] == 0.5, "seed 0 is not compared: the CycleGAN has no such run"
