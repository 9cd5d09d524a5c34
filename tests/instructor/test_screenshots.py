"""The pictures of README and docs/: none is older than what it shows, and none shows what it must not."""

import io
import json
import re
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from instructor.screenshots import make, played, studio
from instructor.screenshots.__main__ import app
from instructor.screenshots.compress import crop, to_webp
from instructor.screenshots.discretion import check_text, read_secrets
from instructor.screenshots.make import Places, make_pictures
from instructor.screenshots.played import Played
from instructor.screenshots.record import FOLDER, RECORD, Shown, find_stale
from instructor.screenshots.scenes import find_scene
from instructor.screenshots.table import PICTURES, choose
from instructor.vault import Vault
from instructor.workshop import PROJECT
from lab_code.cli.terminal import run_app
from lab_code.errors import LabError
from tests.conftest import make_small_workshop

_SHOWN = re.compile(r"!\[([^\]]*)\]\(([^)]+\.webp)\)")
_PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]


def find_shown() -> list[tuple[Path, str, Path]]:
    """Every picture that a page shows: the page, the text for who cannot see it, the file."""
    return [
        (page, alt, (page.parent / name).resolve())
        for page in _PAGES
        for alt, name in _SHOWN.findall(page.read_text(encoding="utf-8"))
    ]


def test_no_picture_is_older_than_what_it_shows() -> None:
    stale = find_stale(PROJECT, PICTURES)
    faults = [f"the picture {FOLDER}/{name}.webp is too old: {', '.join(why)}" for name, why in stale.items()]
    assert all(find_scene(picture.name) for picture in PICTURES)
    assert not stale, "\n".join([*faults, f'make them again:  make pictures ONLY="{" ".join(stale)}"'])


def test_every_picture_is_shown_with_words_and_none_is_heavy() -> None:
    shown = find_shown()
    assert {path for _, _, path in shown} == {PROJECT / picture.path for picture in PICTURES}
    assert all(len(alt) > 40 for _, alt, _ in shown)
    readme = {path for page, _, path in shown if page.name == "README.md"}
    assert len(readme) == 4 and sum(path.stat().st_size for path in readme) < 400_000
    assert {path.name for path in (PROJECT / FOLDER).iterdir()} == {f"{one.name}.webp" for one in PICTURES} | {RECORD}
    assert sum(path.stat().st_size for path in (PROJECT / FOLDER).iterdir()) < 1_000_000


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A project of one page; its class is played already, and the browser is none."""
    (tmp_path / "page.html").write_text("one", encoding="utf-8")
    workshop = make_small_workshop()
    vault = Vault(tmp_path / "work" / "build")
    vault.master_secret()
    vault.write_key({"group-1": [{"stage": "1-x", "answers": "3,1,4", "rescue": "ABCD"}]})
    monkeypatch.setattr(make, "open_browser", nullcontext)
    monkeypatch.setattr(make, "play_class", lambda folder, *_: Played(folder, workshop, ()))
    return Places(tmp_path, tmp_path / "work")


def draw(_: object) -> bytes:
    png = io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(png, format="PNG")
    return png.getvalue()


def fail(*_: object) -> bytes:
    raise LabError("the page is empty")


def make_one(places: Places, scene=draw, name: str = "one", **more: bool) -> list[Path]:
    picture = Shown(name, ["*.html"])
    return make_pictures([picture], places, print, lambda *_: lambda: None, scene_of=lambda _: scene, **more)


def test_a_picture_is_made_once_and_again_when_what_it_shows_has_changed(places: Places) -> None:
    picture = Shown("one", ["*.html"])
    assert find_stale(places.project, [picture]) == {"one": ["it is not there"]}
    assert make_one(places) == [places.project / picture.path]
    assert make_one(places) == [] and find_stale(places.project, [picture]) == {}
    assert make_one(places, again=True)
    (places.project / "other.html").write_text("two", encoding="utf-8")
    (places.project / "page.html").write_bytes(b"two")
    assert find_stale(places.project, [picture]) == {"one": ["other.html is new", "page.html has changed"]}
    (places.project / "page.html").unlink()
    assert find_stale(places.project, [picture])["one"] == ["other.html is new", "page.html is gone"]
    with pytest.raises(LabError, match=r"the picture 'one' shows '\*\.css', which is no file"):
        find_stale(places.project, [replace(picture, shows=["*.css"])])


@pytest.mark.parametrize("scene", [fail, lambda _: b"half a pict", lambda _: 1 / 0])
def test_what_cannot_be_taken_leaves_the_picture_as_it_was_and_is_named(places: Places, scene) -> None:
    (path,) = make_one(places)
    before, noted = path.read_bytes(), (path.parent / RECORD).read_bytes()
    with pytest.raises(LabError, match=r"one picture could not be taken, and stayed as before: one: ") as raised:
        make_one(places, scene, again=True)
    assert "make pictures ONLY=one" in raised.value.hint
    assert path.read_bytes() == before and (path.parent / RECORD).read_bytes() == noted
    assert sorted(entry.name for entry in path.parent.iterdir()) == [RECORD, "one.webp"]


def test_the_others_are_made_where_one_cannot_be_taken(places: Places) -> None:
    scenes, pictures = {"bad": fail, "good": draw}, [Shown("bad", ["*.html"]), Shown("good", ["*.html"])]
    with pytest.raises(LabError, match="bad: the page is empty"):
        make_pictures(pictures, places, print, lambda *_: lambda: None, scene_of=scenes.__getitem__)
    assert list(find_stale(places.project, pictures)) == ["bad"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("lab unlock --answers 3,1,4", "the answers of group-1, 1-x"),
        ("you typed 3, 1, 4!", "the answers of group-1, 1-x"),
        ("the code is abcd", "the rescue code of group-1, 1-x"),
        ("words: {room}", "the room code of"),
        ("words: {spoken}", "the room code of"),
        (f"File {PROJECT}/lab_code/config.py", "a folder of this machine"),
        (f"File {Path.home()}/kit", "a folder of this machine"),
    ],
)
def test_a_page_that_says_too_much_is_not_taken(places: Places, text: str, found: str) -> None:
    workshop, build = make_small_workshop(), places.work / "build"
    room = Vault(build).room_code(workshop.id, workshop.stages[0].id)
    secrets = read_secrets(build, workshop)
    with pytest.raises(LabError, match=f"the picture 'one' would show {found}"):
        check_text(text.format(room=room, spoken=room.replace("-", " ").title()), secrets, "one")
    check_text("ids 13,1,4 and 3,1,42; balanced accuracy 0.314; from kit import root", secrets, "one")


@pytest.mark.parametrize("form", [{"chosen": 1, "reasons": 0}, {"chosen": 0, "reasons": 1}])
def test_a_form_that_shows_answers_is_not_taken(form: dict[str, int], tmp_path: Path) -> None:
    class Page:
        def evaluate(self, _: str) -> dict[str, object]:
            return {"text": "", **form}

    at = studio.Studio("one", Played(tmp_path, make_small_workshop(), ()), None, {}, tmp_path)
    with pytest.raises(LabError, match="the picture 'one' would show answers in a form"):
        at.take(Page())


def test_without_a_browser_nothing_is_written(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(places.project))
    with pytest.raises(LabError, match="there is no Chromium on this machine"):
        make_one(places)
    assert not (places.project / FOLDER).exists()


def test_where_the_class_cannot_be_played_nothing_is_written(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "play_class", fail)
    with pytest.raises(LabError, match="the page is empty"):
        make_one(places)
    assert not (places.project / FOLDER).exists()


def test_the_class_is_played_again_when_anything_changes_that_it_is_made_of(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "lab_code").mkdir()
    source, seen = tmp_path / "lab_code" / "one.py", list[dict[str, object]]()
    plays = []
    monkeypatch.setattr(played, "PROJECT", tmp_path)
    monkeypatch.setattr(played, "_play", lambda *_: plays.append("played") or seen)
    for text, count in (("a", 1), ("a", 1), ("b", 2)):
        source.write_text(text, encoding="utf-8")
        played.play_class(tmp_path / "work", print, lambda *_: lambda: None)
        assert len(plays) == count


def test_a_screenshot_becomes_small_and_the_same_each_time() -> None:
    picture = Image.new("RGB", (300, 200), "white")
    picture.paste((21, 90, 161), (100, 100, 140, 120))
    png = io.BytesIO()
    picture.save(png, format="PNG")
    webp = to_webp(png.getvalue())
    assert webp == to_webp(png.getvalue()) and len(webp) < 1000
    with Image.open(io.BytesIO(webp)) as read:
        assert read.size == (300, 200) and read.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        seen = read.convert("RGB").getpixel((110, 110))
        assert all(abs(there - was) <= 2 for there, was in zip(seen, (21, 90, 161), strict=True))
    with Image.open(io.BytesIO(crop(png.getvalue(), margin=5))) as cut:
        assert cut.size == (50, 30)
    with Image.open(io.BytesIO(crop(png.getvalue(), height=0.55, margin=0))) as cut:
        assert cut.size == (40, 10)


def test_the_command_lists_and_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_app(app, ["--list"], tmp_path) == 0
    said = capsys.readouterr().out
    assert all(picture.path in said for picture in PICTURES)
    assert run_app(app, ["bord"], tmp_path) == 1
    assert "did you mean 'board'" in capsys.readouterr().err
    assert [picture.name for picture in choose(["duel", "board"])] == ["duel", "board"]
    assert json.loads((PROJECT / FOLDER / RECORD).read_text(encoding="utf-8")).keys() == {one.name for one in PICTURES}
