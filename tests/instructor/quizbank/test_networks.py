"""Networks are tried out in a process of their own, which says the same as this one would, faults included."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from instructor.quizbank import networks
from instructor.quizbank.networks import COUNT, KEPT, SHAPE, NetworkLab, answer, describe_builders, read_kept
from lab_code.errors import LabError


@pytest.fixture(scope="module")
def lab() -> Iterator[NetworkLab]:
    with closing(NetworkLab()) as lab:
        yield lab


@pytest.mark.parametrize(
    "question",
    [
        [COUNT, "small_cnn"],
        [COUNT, "small_cnn", "model.width=8"],
        [COUNT, "resnet18"],
        [SHAPE, "small_cnn", "features.0", 64],
    ],
)
def test_the_process_says_what_this_one_would(lab: NetworkLab, question: list) -> None:
    assert lab._ask(json.dumps(question)) == answer(*question)


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ([SHAPE, "small_cnn", "nothing", 64], "has no part 'nothing'"),
        ([COUNT, "small_cnn", "model.widht=8"], "widht"),
        ([COUNT, "no_such"], "no_such"),
    ],
)
def test_a_mistake_is_told_as_here_and_the_process_goes_on(lab: NetworkLab, question: list, message: str) -> None:
    told = []
    for ask in (lambda: answer(*question), lambda: lab._ask(json.dumps(question))):
        with pytest.raises(LabError, match=message) as caught:
            ask()
        told.append((caught.value.message, caught.value.hint))
    assert told[0] == told[1]
    assert lab._ask(json.dumps([COUNT, "small_cnn"])) == answer(COUNT, "small_cnn")


def test_a_process_that_ends_without_a_word_is_named() -> None:
    with closing(NetworkLab()) as lab, pytest.raises(LabError, match="ended without a word"):
        lab._ask("this is no JSON")


def test_what_is_known_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(networks, "_KNOWN", {})
    monkeypatch.setattr(networks, "answer", lambda *question: asked.append(question) or 7)
    monkeypatch.setitem(networks.sys.modules, "torch", object())
    assert [NetworkLab().ask(COUNT, "small_cnn") for _ in range(3)] == [7, 7, 7]
    assert asked == [(COUNT, "small_cnn")]


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """What a program has kept that has asked one question."""
    made = {"made_from": describe_builders(), "answers": {json.dumps([COUNT, "small_cnn"]): 7}}
    (tmp_path / KEPT).write_text(json.dumps(made), encoding="utf-8")
    return tmp_path / KEPT


@pytest.mark.parametrize("torch_is_here", [False, True])
def test_what_an_earlier_program_was_told_is_not_found_out_again(
    kept: Path, monkeypatch: pytest.MonkeyPatch, torch_is_here: bool
) -> None:
    monkeypatch.setattr(networks, "_KNOWN", {})
    monkeypatch.delitem(networks.sys.modules, "torch", raising=False)
    if torch_is_here:
        monkeypatch.setitem(networks.sys.modules, "torch", object())  # type: ignore[arg-type]
    with closing(NetworkLab(kept.parent)) as lab:
        assert lab.ask(COUNT, "small_cnn") == 7 and lab._process is None


@pytest.mark.parametrize("torch_is_here", [False, True])
def test_what_was_asked_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch_is_here: bool) -> None:
    monkeypatch.setattr(networks, "_KNOWN", {})
    if torch_is_here:
        import torch  # noqa: F401
    else:
        monkeypatch.delitem(networks.sys.modules, "torch", raising=False)
    with closing(NetworkLab(tmp_path)) as lab:
        found = lab.ask(COUNT, "small_cnn", "model.width=3")
    assert read_kept(tmp_path / KEPT)[json.dumps([COUNT, "small_cnn", "model.width=3"])] == found


def test_no_folder_is_made_to_keep_answers_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = subprocess.Popen([sys.executable, "-c", ""])
    monkeypatch.setattr(NetworkLab, "_ask", lambda lab, question: setattr(lab, "_process", nothing))
    monkeypatch.setattr(networks, "_KNOWN", {})
    monkeypatch.delitem(networks.sys.modules, "torch", raising=False)
    with closing(NetworkLab(tmp_path / "build")) as lab:
        lab.ask(COUNT, "small_cnn")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["", "{", "[]", "{}", '{"made_from": 1}', '{"answers": {}, "made_from": "old"}'])
def test_a_damaged_record_is_none(kept: Path, damage: str) -> None:
    kept.write_text(damage, encoding="utf-8")
    assert read_kept(kept) == {}
    kept.unlink()
    assert read_kept(kept) == {}


@pytest.mark.parametrize("changed", ["lab_code/models/small_cnn.py", "lab_code/conf/model/small_cnn.yaml", "torch"])
def test_another_line_or_version_makes_the_record_void(
    kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    assert len(read_kept(kept)) == 1
    if changed == "torch":
        monkeypatch.setattr(networks.metadata, "version", lambda name: "1.0")
    else:
        shutil.copytree(networks.PROJECT / "lab_code", tmp_path / "lab_code", ignore=shutil.ignore_patterns("*.pyc"))
        monkeypatch.setattr(networks, "PROJECT", tmp_path)
        assert len(read_kept(kept)) == 1
        with (tmp_path / changed).open("a", encoding="utf-8") as file:
            file.write("# mine\n")
    assert read_kept(kept) == {}
