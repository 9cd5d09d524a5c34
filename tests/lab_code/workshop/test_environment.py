"""`.venv` is made by uv or by pip, mended where it is broken, and whatever cannot be mended is named."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from lab_code.workshop import environment
from lab_code.workshop.environment import (
    find_fault,
    main,
    make_environment,
    parse_pip_settings,
    run_quietly,
    uv_environment,
    uv_flags,
    venv_program,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the stand-ins for programs are links and shell scripts")
PIP_IN = Path("lib") / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages" / "pip"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    return tmp_path


def make_venv(root: Path) -> None:
    """A real environment with a package `pip` that says nothing; the real one takes seconds to make."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=root, check=True)
    pip = root / ".venv" / PIP_IN
    pip.mkdir()
    for name in ("__init__.py", "__main__.py"):
        (pip / name).touch()


class Recorder:
    """Stands in for running programs: keeps what was asked for; what is named in `failing` does not work."""

    def __init__(self, root: Path, *failing: str) -> None:
        self.root, self.failing, self.asked, self.variables = root, failing, [], {}

    def __call__(self, title: str, command: list[str], variables: Mapping[str, str]) -> bool:
        name = {"making": "venv", "fetching": "fetch"}.get(title.split()[0]) or title.split(" with ")[1].split()[0]
        self.asked.append(name)
        self.variables[name] = dict(variables)
        if name == "venv":
            make_venv(self.root)
        return name not in self.failing


def test_uv_installs_where_it_can_be_had(root: Path) -> None:
    run = Recorder(root)
    make_environment(root, {"test"}, run)
    assert run.asked == ["venv", "fetch", "uv"]


def test_what_stands_is_left_alone(root: Path) -> None:
    make_environment(root, {"instructor", "test"}, Recorder(root))
    run = Recorder(root)
    make_environment(root, {"instructor"}, run)
    assert not run.asked


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_another_list_of_packages_is_installed(root: Path, name: str) -> None:
    make_environment(root, set(), Recorder(root))
    (root / name).write_text("another", encoding="utf-8")
    run = Recorder(root)
    make_environment(root, set(), run)
    assert run.asked == ["fetch", "uv"]


def test_further_extras_keep_those_that_are_there(root: Path) -> None:
    make_environment(root, {"instructor"}, Recorder(root))
    commands = []
    make_environment(root, {"test"}, lambda title, command, variables: not commands.append(command))
    assert commands[-1][-1] == ".[instructor,test]"


@pytest.mark.parametrize(
    ("failing", "asked"),
    [(["fetch"], ["venv", "fetch", "pip"]), (["uv"], ["venv", "fetch", "uv", "pip"])],
    ids=["uv cannot be had", "uv does not manage"],
)
def test_pip_goes_on_where_uv_does_not(root: Path, failing: list[str], asked: list[str], capsys) -> None:
    run = Recorder(root, *failing)
    make_environment(root, set(), run)
    assert run.asked == asked
    assert "pip goes on" in capsys.readouterr().err


@pytest.mark.parametrize("setting", ["PIP_NO_BINARY", "PIP_ONLY_BINARY"])
def test_pip_alone_where_it_is_told_what_uv_cannot_be(root: Path, setting: str, monkeypatch) -> None:
    make_venv(root)
    listed = f":env:.{setting.removeprefix('PIP_').lower().replace('_', '-')}=':all:'"
    monkeypatch.setattr(environment, "read_pip_settings", lambda _: parse_pip_settings(listed))
    run = Recorder(root)
    make_environment(root, set(), run)
    assert run.asked == ["pip"]


def test_what_was_interrupted_goes_on(root: Path) -> None:
    make_environment(root, set(), Recorder(root))
    (root / "pyproject.toml").write_text("another", encoding="utf-8")

    def stop(title: str, command: list[str], variables: Mapping[str, str]) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_environment(root, set(), stop)
    run = Recorder(root)
    make_environment(root, set(), run)
    assert run.asked == ["fetch", "uv"]


def lose_python(root: Path) -> None:
    python = root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("gone")


def lose_pip(root: Path) -> None:
    shutil.rmtree(root / ".venv" / PIP_IN)


def be_older(root: Path) -> None:
    python = root / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\necho 3 10 /somewhere\n", encoding="utf-8")
    python.chmod(0o755)


def be_silent(root: Path) -> None:
    python = root / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text("#!/bin/sh\necho Segmentation fault\nexit 139\n", encoding="utf-8")
    python.chmod(0o755)


def be_a_file(root: Path) -> None:
    (root / ".venv").rename(root / "elsewhere")
    (root / ".venv").touch()


def be_a_dangling_link(root: Path) -> None:
    (root / ".venv").rename(root / "elsewhere")
    (root / ".venv").symlink_to("nowhere")


def be_hardly_begun(root: Path) -> None:
    (root / ".venv").rename(root / "elsewhere")
    (root / ".venv" / "bin").mkdir(parents=True)


def be_moved(root: Path) -> None:
    stamp = root / ".venv" / "made.json"
    stamp.write_text(stamp.read_text(encoding="utf-8").replace(str(root), "/another/place"), encoding="utf-8")


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lose_python, "its Python does not run"),
        (lose_pip, "it is half-made"),
        (be_older, "it has Python 3.10"),
        (be_silent, "its Python does not run"),
        (be_a_file, "its Python does not run"),
        (be_a_dangling_link, "its Python does not run"),
        (be_hardly_begun, "its Python does not run"),
        (be_moved, "it was made in another folder"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_broken_environment_is_made_anew(root: Path, damage, fault: str, capsys) -> None:
    make_environment(root, {"test"}, Recorder(root))
    damage(root)
    run = Recorder(root)
    make_environment(root, {"test"}, run)
    assert run.asked == ["venv", "fetch", "uv"]
    assert f"made anew: {fault}" in capsys.readouterr().err
    assert find_fault(root) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null"])
def test_a_damaged_stamp_is_no_stamp(root: Path, content: str) -> None:
    make_environment(root, set(), Recorder(root))
    (root / ".venv" / "made.json").write_text(content, encoding="utf-8")
    run = Recorder(root)
    make_environment(root, set(), run)
    assert run.asked == ["fetch", "uv"]


def test_another_python_is_made_where_one_is_asked_for(root: Path, monkeypatch) -> None:
    make_environment(root, set(), Recorder(root))
    monkeypatch.setattr(environment.sys, "version_info", (3, 99, 0))
    assert find_fault(root) is None
    assert find_fault(root, this_python=True) == "it has Python {}.{}".format(*map(int, PIP_IN.parts[1][6:].split(".")))


def test_a_folder_of_somebodys_own_is_not_removed(root: Path, capsys) -> None:
    (root / ".venv").mkdir()
    (root / ".venv" / "thesis.txt").write_text("mine", encoding="utf-8")
    assert main([], root) == 1
    assert "is no environment of Python" in capsys.readouterr().err
    assert (root / ".venv" / "thesis.txt").is_file()


def test_a_failure_shows_the_log_and_what_to_do(root: Path, monkeypatch, capsys) -> None:
    make_venv(root)
    pip = root / ".venv" / PIP_IN / "__main__.py"
    pip.write_text("import sys; sys.exit('no matching distribution')", encoding="utf-8")
    assert main(["--extras", "test"], root) == 1
    said = capsys.readouterr().err
    assert said.count("no matching distribution") and "error: the packages could not be installed\nhint: " in said
    assert not (root / ".venv" / "made.json").exists()


def test_what_programs_say_goes_to_the_log(root: Path, capfd) -> None:
    (root / ".venv").mkdir()
    assert run_quietly(root)("talking", [sys.executable, "-c", "print('chatter')"], {})
    said = capfd.readouterr()
    assert said.out == "" and said.err == "talking …\n"
    assert "chatter" in (root / ".venv" / "setup.log").read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_is_named(root: Path, monkeypatch, capsys) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise PermissionError(13, "Permission denied", str(root))

    monkeypatch.setattr(environment, "make_environment", refuse)
    assert main([], root) == 1
    assert "error: .venv cannot be made: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("", {}),
        ("global.index-url='https://a/simple'", {"UV_INDEX_URL": "https://a/simple"}),
        ("global.index-url='a'\ninstall.index-url='b'", {"UV_INDEX_URL": "b"}),
        (":env:.index-url='c'\nglobal.index-url='a'\ninstall.index-url='b'", {"UV_INDEX_URL": "c"}),
        ("global.extra-index-url='\\nhttps://a\\nfile:///b'", {"UV_EXTRA_INDEX_URL": "https://a file:///b"}),
        ("install.find-links='/a /b'", {"UV_FIND_LINKS": "/a,/b"}),
        ("global.cert='/a.pem'", {"SSL_CERT_FILE": "/a.pem"}),
        ("global.trusted-host='a b'", {"UV_INSECURE_HOST": "a b"}),
        ("global.proxy='http://p:1'", {"ALL_PROXY": "http://p:1"}),
        ("global.constraint='/a.txt'", {"UV_CONSTRAINT": "/a.txt"}),
        (":env:.default-timeout='180'", {"UV_HTTP_TIMEOUT": "180"}),
        ("download.find-links='/a'\nfreeze.timeout='1'", {}),
        ("WARNING: something\nglobal.cache-dir='/c'", {}),
    ],
)
def test_uv_looks_where_pip_looks(listed: str, told: dict[str, str]) -> None:
    said = uv_environment(parse_pip_settings(listed))
    assert said == {"UV_INDEX_STRATEGY": "unsafe-best-match", **told}


@pytest.mark.parametrize(
    ("listed", "flags"),
    [
        ("global.no-index='true'", ["--no-index"]),
        (":env:.no-index='0'", []),
        ("global.no-cache-dir='1'", ["--no-cache"]),
        ("global.no-index='1'\n:env:.no-index='no'", []),
    ],
)
def test_what_pip_has_switched_on_uv_has(listed: str, flags: list[str]) -> None:
    assert uv_flags(parse_pip_settings(listed)) == flags


def test_pip_is_asked_itself(root: Path) -> None:
    make_venv(root)
    (root / ".venv" / PIP_IN / "__main__.py").write_text("print(\"global.index-url='here'\")", encoding="utf-8")
    assert environment.read_pip_settings(root) == {"index-url": "here"}
    (root / ".venv" / PIP_IN / "__main__.py").write_text("raise SystemExit(1)", encoding="utf-8")
    assert environment.read_pip_settings(root) is None


def test_the_programs_of_an_environment_are_found() -> None:
    assert venv_program(Path("x"), "uv") == str(Path("x/.venv/bin/uv"))
