"""The commands as one types them: what they print, what they refuse, and how they end."""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from instructor.cli.app import main
from tests.instructor.deliver import laptops as lap
from tests.instructor.deliver.conftest import edit_kit, tree

needs_laptops = pytest.mark.skipif(bool(lap.why_not()), reason=lap.why_not() or "laptops can be played here")
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tiny: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Type a command for the tiny workshop; what comes back is its exit code, stdout and stderr."""
    described = {"id": "tiny", "title": "Tiny", "seed": 1, "groups": ["group-1", "group-2"]}
    described["stages"] = [{"id": "1-x", "title": "A stage", "questions": 2}]
    (tiny.parent / "workshop.yaml").write_text(yaml.safe_dump(described), encoding="utf-8")
    monkeypatch.setenv("COLUMNS", "200")

    def type_in(*argv: object) -> tuple[int, str, str]:
        place = ["--workshop", tiny.parent / "workshop.yaml"] + (["--build", tiny] if "pin" not in argv else [])
        code = main([str(word) for word in (*argv, *place)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return type_in


def test_a_stick_is_shown_filled_and_left_alone(run: Run, tiny: Path, tmp_path: Path) -> None:
    stick = tmp_path / "USB STICK ü"
    stick.mkdir()
    code, out, err = run("deliver", "stick", stick, "--dry-run")
    assert code == 0 and "nothing is changed" in out and "12 to send" in out and "is the stick plugged in?" in err
    assert not list(stick.iterdir())
    code, out, _ = run("deliver", "stick", stick)
    assert code == 0 and out.count("delivered") == 2 and tree(stick / "group-2") == tree(tiny / "kits/group-2")
    (stick / "group-1" / "README.md").write_bytes(b"mine")
    edit_kit(tiny, **{"README.md": b"New.\n"})
    code, out, err = run("deliver", "stick", stick)
    assert code == 0 and "up to date" in out and "README.md stays as it is: changed by the group" in err


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["deliver", "stick", "nowhere"], "there is no folder nowhere"),
        (["deliver", "ssh"], "inventory.yaml is missing"),
        (["fleet"], "inventory.yaml is missing"),
        (["fleet", "--from", "nowhere"], "there is no folder nowhere"),
        (["reset", "nowhere"], "there is no folder nowhere"),
        (["reset", "ssh"], "inventory.yaml is missing"),
        (["deliver", "pin"], "inventory.yaml is missing"),
        (["swap", "--group", "1", "--to", "laptop-7"], "inventory.yaml is missing"),
        (["swap", "--group", "1", "--to", "./here"], "there is no hand-in of group-1"),
        (["swap", "--group", "7", "--to", "laptop-7"], "there is no group '7'"),
    ],
)
def test_what_is_missing_is_said_in_two_lines(run: Run, argv: list[str], said: str) -> None:
    code, _, err = run(*argv)
    assert code == 1 and said in err and "hint: " in err and "Traceback" not in err


def test_kits_that_are_not_there_stop_everything_at_once(run: Run, tiny: Path, tmp_path: Path) -> None:
    shutil.rmtree(tiny / "kits" / "group-1")
    (tiny / "kits" / "group-2" / "README.md").write_bytes(b"tried")
    code, _, err = run("deliver", "archives", "--out", tmp_path / "a")
    assert code == 1 and "there is no kit" in err and "is not as it was built" in err and not (tmp_path / "a").exists()


def test_archives_are_shown_written_and_left_alone(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "archives"
    states = []
    for more in (["--dry-run"], [], []):
        code, said, _ = run("deliver", "archives", "--out", out, *more)
        states.append(next(state for state in ("would be written", "written", "up to date") if state in said))
        assert code == 0 and out.exists() == (more == [])
    assert states == ["would be written", "written", "up to date"]


def test_a_stick_goes_back_to_its_start_only_when_that_is_meant(
    run: Run, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    stick.mkdir()
    run("deliver", "stick", stick)
    (stick / "group-1" / "progress.jsonl").write_bytes(b"{}\n")
    assert run("reset", stick, "--dry-run")[0] == 0 and (stick / "group-1/progress.jsonl").exists()
    monkeypatch.setattr("typer.confirm", lambda *_, **__: (_ for _ in ()).throw(SystemExit(1)))
    assert run("reset", stick)[0] == 1 and (stick / "group-1/progress.jsonl").exists()
    code, out, _ = run("reset", stick, "--yes")
    assert code == 0 and ".earlier-classes" in out and not (stick / "group-1/progress.jsonl").exists()
    assert run("reset", "kits", "--yes")[0] == 0


def test_paths_that_are_too_long_for_windows_are_said_at_once_before_anybody_is_called(run: Run, tiny: Path) -> None:
    path = "C:/" + "long/" * 50
    entries = "".join(
        f"- {{host: 192.0.2.{n}, user: lab, group: group-{n}, platform: windows, path: '{path}'}}\n" for n in (1, 2)
    )
    (tiny.parent / "inventory.yaml").write_text(f"laptops:\n{entries}", encoding="utf-8")
    (tiny.parent / "known_hosts").write_text("", encoding="utf-8")
    code, _, err = run("deliver", "ssh", "--dry-run")
    assert code == 1 and all(f"inventory.yaml line {line}: path '{path}'" in err for line in (2, 3))


@pytest.fixture
def inventory(laptops: lap.Room, tiny: Path) -> Iterator[Path]:
    """Two laptops with groups, beside the tiny workshop; nothing is pinned."""
    for laptop in laptops.laptops:
        shutil.rmtree(laptop.home / "kits", ignore_errors=True)
    path = tiny.parent / "inventory.yaml"
    shutil.copyfile(laptops.write({1: "group-1", 2: "group-2"}), path)
    yield path


@needs_laptops
def test_host_keys_are_pinned_once_and_a_changed_one_only_by_name(run: Run, laptops: lap.Room, inventory: Path) -> None:
    code, _, err = run("deliver", "ssh")
    assert code == 1 and "no host key is pinned yet" in err and "instructor deliver pin" in err
    code, out, err = run("deliver", "pin", "--yes")
    assert code == 0 and "SHA256:" in out and "6 pinned" in out, err
    laptops.laptops[1].new_host_key()
    code, out, err = run("deliver", "pin", "--yes")
    assert (
        code == 1 and "its host key has changed" in err and "--replace laptop-2" in err and "laptop-1: pinned al" in out
    )
    assert run("deliver", "ssh", "--dry-run", "--only", "laptop-2")[0] == 1
    assert run("deliver", "pin", "--yes", "--replace", "laptop-2")[0] == 0
    assert run("deliver", "ssh", "--dry-run", "--only", "laptop-2")[0] == 0


@needs_laptops
def test_laptops_are_shown_and_served_and_one_that_is_off_is_named(
    run: Run, laptops: lap.Room, inventory: Path
) -> None:
    shutil.copyfile(laptops.folder / "known_hosts", inventory.with_name("known_hosts"))
    laptops.laptops[1].stop()
    try:
        code, out, err = run("deliver", "ssh", "--dry-run")
        assert code == 1 and "12 to send" in out and "nobody listens" in out and "1 is not done" in err
        code, out, err = run("deliver", "ssh")
        assert code == 1 and "delivered" in out and "NOT DONE: nobody listens" in out and "(fix: is it on" in err
    finally:
        laptops.laptops[1].start()
    code, out, _ = run("deliver", "ssh", "--json")
    rows = json.loads(out)
    assert code == 0 and [row["done"] for row in rows] == [True, True] and rows[1]["sent"] > 0
    assert rows[0]["plans"]["group-1"]["send"] == []
    code, out, err = run("fleet", "--only", "laptop-1")
    assert code == 1 and "lab doctor does not run there" in out and "not ready: laptop-1" in err
    code, out, err = run("swap", "--group", "1", "--to", "laptop-3")
    assert code == 1 and "nobody has worked on laptop-1 yet" in err and "there is no hand-in" in err
    laptop = laptops.laptops[0]
    (laptop.kit() / "progress.jsonl").write_bytes(b"{}\n")
    code, out, err = run("swap", "--group", "1", "--to", "laptop-3")
    assert code == 0 and "group-1 goes on at laptop-3" in out and "write group: group-1 at laptop-3" in err
    assert (laptops.laptops[2].kit() / "progress.jsonl").read_bytes() == b"{}\n"
    code, out, _ = run("reset", "ssh", "--yes", "--only", "laptop-1")
    assert code == 0 and ".earlier-classes" in out


@pytest.mark.parametrize(
    ("to", "delivered"),
    [
        ("", []),
        ("ssh", ["deliver ssh"]),
        ("archives", ["deliver archives"]),
        ("/media/USB ssh ü", ["deliver stick /media/USB ssh ü"]),
    ],
)
def test_make_builds_and_delivers_in_one_go(project: Path, to: str, delivered: list[str]) -> None:
    make = ["make", "-s", "provision", "INSTRUCTOR=echo", "SETUP=true", f"TO={to}"]
    done = subprocess.run(make, cwd=project, capture_output=True, text=True, encoding="utf-8")
    assert done.stdout.splitlines() == ["provision", *delivered] and not done.returncode
