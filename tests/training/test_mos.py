"""Ratings to means: against plain formulas; damaged and foreign files are named."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from vcsharp_training import cli
from vcsharp_training.errors import DataError
from vcsharp_training.mos import build, ratings, stats
from vcsharp_training.mos.command import Build

METHODS = ("input", "nano", "unsharp")
HEAD = "study,session,rater,set,scene,position,stimulus,rating,seconds"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Two scenes in each of two categories, made by three methods; one method lacks a fifth."""
    for number, method in enumerate(METHODS):
        for name in ("people/a", "people/b", "text/c", "text/d", "text/e"):
            path = tmp_path / "results" / method / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            if (method, name) != ("nano", "text/e"):
                level = 40 * number + ord(name[-1]) - 90
                cv2.imwrite(str(path), np.full((24, 32, 3), level, np.uint8))
    return tmp_path / "results"


def _built(results: Path, **changes) -> tuple[str, dict]:
    out = results.parent / "page.html"
    build.build(Build(results=results, out=out, **changes))
    return out.read_text("utf-8"), json.loads(out.with_suffix(".key.json").read_text("utf-8"))


def _csv(path: Path, key: dict, session: str, marks: dict[str, int]) -> Path:
    """Everything of a method gets that method's mark."""
    lines = [HEAD]
    for stimulus, facts in key["stimuli"].items():
        mark = marks[facts["method"]] - (facts["category"] == "text")
        lines.append(f'{key["study"]},{session},"x, ""y""",1,s,1,{stimulus},{mark},2.5')
    path.write_text("\r\n".join(lines) + "\r\n", "utf-8")
    return path


@pytest.mark.parametrize(
    ("confidence", "freedom", "wanted"),
    [
        (0.5, 1, 1.0),
        (0.95, 1, 12.70620),
        (0.95, 2, 4.30265),
        (0.99, 2, 9.92484),
        (0.90, 5, 2.01505),
        (0.95, 5, 2.57058),
        (0.95, 30, 2.04227),
    ],
)
def test_the_t_quantile_is_that_of_the_tables(confidence, freedom, wanted):
    assert stats.t_quantile(confidence, freedom) == pytest.approx(wanted, abs=1e-5)


def test_a_mean_has_an_interval_and_a_single_value_has_none():
    found = stats.mean([1, 2, 4, 5])
    assert found.value == 3
    wanted = 3.18245 * np.std([1, 2, 4, 5], ddof=1) / 2
    assert found.reach == pytest.approx(wanted, rel=1e-5)
    assert stats.mean([4]) == (4, math.inf, 1)


def test_the_page_tells_no_method_and_the_key_tells_all(results):
    page, key = _built(results)
    shown = page[page.index('id="study"') :].partition("</script>")[0]
    assert not any(word in shown for word in (*METHODS, "people", "text", "results"))
    study = json.loads(shown.partition(">")[2])
    assert len(study["scenes"]) == 4
    found = {stimulus["id"] for scene in study["scenes"] for stimulus in scene["stimuli"]}
    assert found == set(key["stimuli"])
    assert {facts["method"] for facts in key["stimuli"].values()} == set(METHODS)
    places = [
        [key["stimuli"][stimulus["id"]]["method"] for stimulus in scene["stimuli"]]
        for scene in study["scenes"]
    ]
    assert len({tuple(place) for place in places}) > 1


def test_pictures_can_lie_beside_the_page_under_names_that_tell_nothing(results):
    page, key = _built(results, folder=True)
    files = list((results.parent / "page-pictures").iterdir())
    assert {path.stem for path in files} == set(key["stimuli"])
    assert "data:image" not in page
    assert files[0].name in page


def test_scenes_are_taken_from_all_categories_alike(results):
    _, key = _built(results, scenes=2)
    assert {facts["category"] for facts in key["stimuli"].values()} == {"people", "text"}


def test_what_a_method_lacks_is_left_out_and_said(results):
    lines = build.build(Build(results=results, out=results.parent / "page.html"))
    assert lines[0] == "left out 'text/e': not there for every method"


def test_pictures_of_unlike_size_and_a_single_method_are_refused(results, tmp_path):
    cv2.imwrite(str(results / "nano" / "text" / "c.png"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"'text/c' differ in size \(8x8, 32x24\)"):
        _built(results)
    with pytest.raises(DataError, match="from 2 to 8"):
        _built(results / "nano" / "text")


def test_the_report_counts_raters_not_marks(results, tmp_path, capsys):
    _, key = _built(results)
    first = _csv(tmp_path / "1.csv", key, "s1", {"input": 2, "nano": 5, "unsharp": 3})
    second = _csv(tmp_path / "2.csv", key, "s2", {"input": 3, "nano": 4, "unsharp": 3})
    arguments = [str(first), str(second), "--key", str(tmp_path / "page.key.json")]
    arguments += ["--against", "input", "--json-file", str(tmp_path / "mos.json")]
    assert cli.main(["mos", "report", *arguments]) == 0
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / "mos.json").read_text("utf-8"))
    assert (found["raters"], found["ratings"]) == (2, 24)
    nano = found["scores"]["all"]["nano"]
    assert nano["value"] == 4  # half the pictures are text, a mark lower
    assert nano["reach"] == pytest.approx(12.7062 * 0.5, rel=1e-5)
    assert found["scores"]["people"]["nano"]["value"] == 4.5
    assert found["differences"]["all"]["nano"]["value"] == 2
    assert found["differences"]["all"]["unsharp"]["value"] == 0.5
    assert "| nano | 4.00 ± 6.35 | 4.50 ± 6.35 | 3.50 ± 6.35 |" in printed
    assert printed.index("| nano |") < printed.index("| unsharp |") < printed.index("| input |")


def test_with_one_rater_pictures_are_the_values(results, tmp_path, capsys):
    _, key = _built(results)
    file = _csv(tmp_path / "1.csv", key, "s1", {"input": 2, "nano": 5, "unsharp": 3})
    assert cli.main(["mos", "report", str(file), "--key", str(tmp_path / "page.key.json")]) == 0
    printed = capsys.readouterr().out
    assert "over pictures, as there is one rater only" in printed
    assert "| nano | 4.50 ± 0.92 |" in printed  # 5 5 4 4


def test_a_file_saved_again_counts_once(results, tmp_path):
    _, built = _built(results)
    key = ratings.read_key(tmp_path / "page.key.json")
    marks = dict.fromkeys(METHODS, 2)
    early = _csv(tmp_path / "1.csv", built, "s1", marks)
    late = _csv(tmp_path / "2.csv", built, "s1", dict.fromkeys(METHODS, 5))
    found = ratings.read([early, late], key)
    assert len(found) == 12
    assert {rating.rating for rating in found} == {4, 5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no ratings in"),
        ("a,b\n1,2\n", "lacks the columns"),
        (f"{HEAD}\nother,s,r,1,s,1,x,3,1\n", "line 2: of study 'other'"),
        (f"{HEAD}\nSTUDY,s,r,1,s,1,x,3,1\n", "no picture 'x'"),
        (f"{HEAD}\nSTUDY,s,r,1,s,1,PICTURE,6,1\n", "'6' is no mark from 1 to 5"),
    ],
)
def test_what_is_no_rating_is_named_with_its_line(results, tmp_path, capsys, text, words):
    _, key = _built(results)
    file = tmp_path / "sent.csv"
    filled = text.replace("STUDY", key["study"]).replace("PICTURE", next(iter(key["stimuli"])))
    file.write_text(filled, "utf-8")
    assert cli.main(["mos", "report", str(file), "--key", str(tmp_path / "page.key.json")]) == 1
    error = capsys.readouterr().err
    assert words in error
    assert "sent.csv" in error
