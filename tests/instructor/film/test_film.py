"""The film of a tiny script: the same frames each time, nothing drawn twice, and faults found before."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from instructor.cli.app import main
from instructor.film import build, encode
from instructor.film.build import Plan, make_film, plan_film
from instructor.film.cast import play, read_cast
from instructor.film.draw import Size
from instructor.film.frames import make_states
from instructor.film.narration import find_voice
from instructor.film.script import read_script
from instructor.film.texts import list_cues
from instructor.screenshots import browser
from instructor.screenshots.browser import open_browser
from lab_code.errors import LabError

SIZE = Size(180, 5)
CAST = [
    {"version": 2, "width": 30, "height": 5, "title": "tiny"},
    [0.0, "o", "laptop$ "],
    [0.5, "m", "ls"],
    [0.5, "o", "l"],
    [0.6, "o", "s"],
    [0.7, "o", "\r\n"],
    [9.0, "o", "\x1b[1;32mdata\x1b[0m lab_code\r\nlaptop$ "],
]
SCENES: list[dict[str, Any]] = [
    {"name": "first", "kind": "card", "title": "One", "seconds": 1.0, "about": "A card.", "heading": "One",
     "items": [{"at": 0.4, "point": "it took {run_s} s"}], "captions": [{"at": 0.0, "say": "It took {run_s} s."}]},
    {"name": "second", "kind": "terminal", "title": "Two", "seconds": 2.0, "about": "A shell.",
     "steps": [{"at": 0.2, "type": "ls"}], "marks": [{"at": 0.2, "text": "lab_code"}],
     "captions": [{"at": 0.0, "say": "ls lists."}, {"at": 1.0, "say": "There."}]},
]  # fmt: skip
MISSING = [name for name in ("ffmpeg",) if shutil.which(name) is None]
needs_ffmpeg = pytest.mark.skipif(bool(MISSING), reason="needs ffmpeg: .ci/run shows how Debian installs it")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "film")


def write_folder(folder: Path) -> Path:
    (folder / "recordings").mkdir(parents=True)
    write_script(folder)
    (folder / "recordings" / "facts.json").write_text(json.dumps({"run_s": 7, "spots": {}}), encoding="utf-8")
    lines = "".join(json.dumps(line) + "\n" for line in CAST)
    (folder / "recordings" / "second.cast").write_text(lines, encoding="utf-8")
    return folder


def write_script(folder: Path, change: Callable[[list[dict[str, Any]]], object] = lambda scenes: None) -> None:
    scenes = json.loads(json.dumps(SCENES))
    change(scenes)
    text = yaml.safe_dump({"title": "Tiny", "scenes": scenes}, sort_keys=False)
    (folder / "film.yaml").write_text(text, encoding="utf-8")


def plan(folder: Path, out: Path) -> Plan:
    return plan_film(folder, out, SIZE, silent=True)


def hash_frames(film: Path) -> str:
    command = ["ffmpeg", "-loglevel", "error", "-i", str(film), "-map", "0:v", "-f", "framemd5", "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny film that was built once; nobody changes it."""
    place = tmp_path_factory.mktemp("made")
    make_film(plan(write_folder(place / "film"), place / "out"))
    return place


@needs_ffmpeg
def test_the_same_script_gives_the_same_frames_and_a_changed_scene_alone_is_drawn(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made / "film", tmp_path / "film")
    again = plan(tmp_path / "film", tmp_path / "out")
    drawn: list[int] = []
    make_film(again, lambda: drawn.append(1))
    frames = hash_frames(tmp_path / "out" / "film.mp4")
    assert frames == hash_frames(made / "out" / "film.mp4") and frames.count("\n0,") == 15 and len(drawn) == 2
    assert not plan(tmp_path / "film", tmp_path / "out").missing
    write_script(tmp_path / "film", lambda scenes: scenes[0].update(heading="Other"))
    changed = plan(tmp_path / "film", tmp_path / "out")
    assert [scene.name for scene, _ in changed.missing] == ["first"]
    make_film(changed)
    assert (
        hash_frames(tmp_path / "out" / "film.mp4") != frames and len(list((tmp_path / "out" / "clips").iterdir())) == 2
    )
    assert not (tmp_path / "out" / ".half-done").exists()


@needs_ffmpeg
def test_the_page_plays_the_film_without_a_network(made: Path) -> None:
    asked: list[str] = []
    with open_browser() as chromium:
        page = chromium.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto((made / "out" / "film.html").as_uri())
        page.wait_for_function("document.querySelector('video').readyState >= 1")
        seconds = page.evaluate("document.querySelector('video').duration")
        page.evaluate("document.querySelector('video').textTracks[0].mode = 'hidden'")
        cues = page.evaluate("[...document.querySelector('video').textTracks[0].cues].map((cue) => cue.text)")
    assert seconds == pytest.approx(3.0, abs=0.1) and cues == ["It took 7 s.", "ls lists.", "There."]
    assert all(address.startswith("file:") for address in asked)


def test_a_recorded_terminal_shows_what_was_shown_at_the_time_of_its_step(folder: Path) -> None:
    script = read_script(folder)
    scene = script.scenes[1]
    screens = play(read_cast(folder / "recordings" / "second.cast"), scene, fps=25)
    texts = [(frame, [text for text in screen.text() if text]) for frame, screen in screens]
    assert texts[0] == (0, ["laptop$"]) and (5, ["laptop$ l"]) in texts
    assert texts[-1][1] == ["laptop$ ls", "data lab_code", "laptop$"] and texts[-1][0] <= 1.4 * 25 + 3
    assert screens[-1][1].rows[1][0] == ("data", "green bold")
    states = [state for _, state in make_states(script, scene, 25)]
    assert states[0]["marked"] == [] and states[-1]["marked"] == [1] and states[-1]["where"] == "laptop"
    assert {state["caption"] for state in states} == {"ls lists.", "There."}


def test_what_is_read_is_what_is_said_at_its_time(made: Path) -> None:
    script = read_script(made / "film")
    assert [(begin, text) for begin, _, text in list_cues(script.scenes)] == [
        (0.0, "It took 7 s."), (1.0, "ls lists."), (2.0, "There."),
    ]  # fmt: skip
    text = (made / "out" / "text.html").read_text(encoding="utf-8")
    assert all(f'<p class="said">{said}</p>' in text for _, _, said in list_cues(script.scenes))
    assert "data lab_code" in text and "it took 7 s" in text


def cut(name: str, value: str) -> Callable[[Path], object]:
    return lambda folder: (folder / "recordings" / name).write_text(value, encoding="utf-8")


def alter(number: int, **changes: Any) -> Callable[[Path], object]:
    return lambda folder: write_script(folder, lambda scenes: scenes[number].update(changes))


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "unknown key": (alter(0, colour="red"), r"film.yaml line 15: colour"),
    "unknown kind": (alter(0, kind="dance"), r"film.yaml line 4.*'first': there is no kind 'dance'"),
    "key of another kind": (alter(0, looks=[{"at": 0, "picture": "list"}]), "kind card has no 'looks'"),
    "wrong type": (alter(0, seconds="long"), r"film.yaml.*seconds"),
    "no length": (alter(0, seconds=0), "0 seconds are no length"),
    "same name": (alter(1, name="first"), "'first' is taken"),
    "caption too long": (
        alter(1, captions=[{"at": 0.0, "say": "word " * 20}]), r"line \d+: scene 'second': the caption"),
    "caption too late": (alter(1, captions=[{"at": 2.5, "say": "x"}]), "2.5 s is outside of the scene"),
    "captions crossed": (
        alter(1, captions=[{"at": 1.0, "say": "x"}, {"at": 0.5, "say": "y"}]), "before the entry above"),
    "nothing said": (alter(0, captions=[]), "nothing is said"),
    "unknown figure": (alter(0, heading="{cost}"), r"'first': nothing called 'cost' was measured"),
    "no step": (alter(1, steps=[]), "nothing happens"),
    "another command": (alter(1, steps=[{"at": 0.2, "type": "pwd"}]), "shows 'ls' where step 1 .* is 'pwd'"),
    "one step more": (alter(1, steps=[{"at": 0.2, "type": "ls"}, {"at": 1, "type": "ls"}]), "has 1 steps"),
    "mark never there": (
        alter(1, marks=[{"at": 0.2, "text": "queue"}]), r"line \d+: scene 'second': 'queue' is not on"),
    "unknown picture": (
        alter(1, kind="browser", steps=[], marks=[], looks=[{"at": 0, "picture": "list"}]), "no picture 'list'"),
    "not YAML": (lambda folder: (folder / "film.yaml").write_text("title: [", encoding="utf-8"), r"film.yaml line \d"),
    "no script": (lambda folder: (folder / "film.yaml").unlink(), "film.yaml is missing"),
    "no scene": (lambda folder: (folder / "film.yaml").write_text("title: x\nscenes: []\n"), "there is no scene"),
    "empty cast": (cut("second.cast", ""), "second.cast is empty"),
    "cast of nothing": (cut("second.cast", json.dumps(CAST[0]) + "\n"), "nothing is shown"),
    "broken cast": (cut("second.cast", json.dumps(CAST[0]) + "\n{oops\n"), "second.cast line 2"),
    "no cast": (lambda folder: (folder / "recordings" / "second.cast").unlink(), "never recorded"),
    "no facts": (lambda folder: (folder / "recordings" / "facts.json").unlink(), "facts.json is missing"),
    "broken facts": (cut("facts.json", "{"), "facts.json cannot be read"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_before_anything_is_drawn(folder: Path, tmp_path: Path, fault: str) -> None:
    harm, message = FAULTS[fault]
    harm(folder)
    read_cast.cache_clear()
    with pytest.raises(LabError, match=message):
        plan(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("module", "name", "value", "message"),
    [
        (encode.shutil, "which", lambda name: None, "ffmpeg is not installed"),
        (browser, "_NAMES", ("no-such-browser",), "there is no Chromium"),
        (build.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1_000_000), "has 1 MB left"),  # type: ignore[attr-defined]
    ],
    ids=["ffmpeg", "Chromium", "disk"],
)
def test_what_is_missing_on_this_machine_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str, value: Any, message: str
) -> None:
    if name != "which" and MISSING:
        pytest.skip("needs ffmpeg")
    monkeypatch.setattr(module, name, value)
    with pytest.raises(LabError, match=message):
        plan(folder, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*")) if (tmp_path / "out").exists() else True


def test_whoever_has_only_provisioned_is_told_what_installs_the_rest(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    for name in [name for name in sys.modules if name.startswith("instructor.film")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pyte", None)
    assert main(["film", "--check"]) == 1
    said = capsys.readouterr().err
    assert "pyte is not installed here" in said and "for-media" in said


@needs_ffmpeg
def test_an_encoder_that_fails_leaves_nothing_half_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encode, "_ENCODE", ["-c:v", "no-such-encoder"])
    planned = plan(folder, tmp_path / "out")
    with pytest.raises(LabError, match="ffmpeg could not write"):
        make_film(planned)
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["clips"]


@needs_ffmpeg
def test_the_command_looks_without_drawing_and_knows_its_scenes(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["film", "--source", str(folder), "--build", str(tmp_path / "build"), "--silent"]
    assert main([*command, "--check"]) == 0 and "no fault was found" in capsys.readouterr().out
    assert main([*command, "--scene", "secnd"]) == 1 and "second" in capsys.readouterr().err
    assert not list((tmp_path / "build" / "film").rglob("*.mp4"))


@pytest.mark.skipif(find_voice() is None, reason="needs espeak-ng")
def test_a_caption_that_is_spoken_too_long_is_named(folder: Path, tmp_path: Path) -> None:
    alter(0, captions=[{"at": 0.0, "say": "1,234,567.891"}])(folder)
    with pytest.raises(LabError, match=r"line \d+: scene 'first': the caption .* is spoken in"):
        plan_film(folder, tmp_path / "out", SIZE)
