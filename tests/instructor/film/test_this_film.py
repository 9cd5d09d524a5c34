"""The film as docs/film/ describes it: its length, its captions, its commands, and how old its recordings are."""

import re
import shutil
import socket
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from instructor.film.build import PICTURE_ENDING, plan_film
from instructor.film.draw import Size
from instructor.film.script import Script, read_script
from instructor.film.texts import list_cues, write_pages, write_vtt
from lab_code.cli.app import app
from tests.conftest import PROJECT
from tests.film_said import list_said, read_literals, read_shown

FOLDER = PROJECT / "docs" / "film"
_AGAIN = "make film RECORD=1, and commit docs/film/recordings"


@pytest.fixture(scope="module")
def script() -> Script:
    return read_script(FOLDER)


def test_it_takes_about_five_minutes_and_shows_every_part(script: Script) -> None:
    assert 270 <= script.seconds <= 330
    names = [scene.name for scene in script.scenes]
    assert names == ["title", "why-linux", "login", "start", "queue", "follow", "mlflow", "cost"]


def test_captions_follow_each_other_and_are_what_is_said(script: Script, tmp_path: Path) -> None:
    cues = list_cues(script.scenes)
    assert all(begin < end for begin, end, _ in cues) and cues[-1][1] <= script.seconds
    assert all(before[1] <= after[0] for before, after in pairwise(cues))
    read = re.findall(r"(\d\d):(\d\d):(\d\d\.\d{3}) --> .*\n(.+)", write_vtt(script.scenes))
    clocks = [int(h) * 3600 + int(m) * 60 + float(s) for h, m, s, _ in read]
    assert clocks == pytest.approx([begin for begin, _, _ in cues], abs=0.001)
    said = [caption.say for scene in script.scenes for caption in scene.captions]
    assert [text for *_, text in read] == said == [text for _, _, text in cues]
    pages = write_pages(script, tmp_path)
    spoken = re.findall(r'<p class="said">(.*)</p>', pages[1].read_text(encoding="utf-8"))
    assert [text.replace("&#39;", "'") for text in spoken] == said


def test_every_command_of_the_film_exists(script: Script) -> None:
    typed = [step.type for scene in script.scenes for step in scene.steps if step.type.startswith("./lab ")]
    assert len(typed) >= 4
    for line in typed:
        _, command, *rest = line.split()
        asked = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "200"})
        assert asked.exit_code == 0, line
        assert all(option in asked.output for option in rest if option.startswith("--")), line


def test_recordings_show_what_lab_still_says(script: Script) -> None:
    """What is shown and said no longer, or said and not recorded so, makes a recording old."""
    gone = set(script.facts["said"]) - read_literals()
    assert not gone, f"lab says this no longer: {sorted(gone)}: {_AGAIN}"
    terminals = [scene for scene in script.scenes if scene.kind == "terminal"]
    assert set(script.facts["said"]) <= set(list_said(script.recordings, terminals)), f"recorded otherwise: {_AGAIN}"
    assert script.facts["mlflow"] == metadata.version("mlflow"), f"the pictures are of another MLflow: {_AGAIN}"


def test_figures_are_those_that_were_shown(script: Script) -> None:
    shown = {scene.name: read_shown(script.recordings, scene) for scene in script.scenes if scene.kind == "terminal"}
    facts = script.facts
    assert f"gpu1: {facts['first_mb']} MB sent" in shown["start"]
    assert f"gpu1: {facts['again_kb']} kB sent" in shown["follow"]
    assert f"balanced accuracy {facts['score']}" in shown["follow"].split("is finished", 1)[1]


def test_recordings_are_small_and_say_nothing_of_where_they_were_made(script: Script) -> None:
    files = [path for path in script.recordings.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 500_000
    used = {f"{scene.name}.cast" for scene in script.scenes if scene.kind == "terminal"} | {"facts.json"}
    used |= {f"{look.picture}{PICTURE_ENDING}" for scene in script.scenes for look in scene.looks}
    assert {path.name for path in files} == used
    for path in files:
        if path.suffix != PICTURE_ENDING:
            text = path.read_text(encoding="utf-8")
            assert not re.search(r"/(work|tmp|root|home|Users)/|token|@", text), path
            assert str(PROJECT) not in text and (len(socket.gethostname()) < 6 or socket.gethostname() not in text)


def test_this_film_has_no_fault(script: Script, tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg: .ci/run shows how Debian installs it")
    assert len(plan_film(FOLDER, tmp_path, Size(), silent=True).missing) == len(script.scenes)
