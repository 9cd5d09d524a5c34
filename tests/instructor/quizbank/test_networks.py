"""Networks are tried out in a process of their own, which says the same as this one would, faults included."""

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from instructor.quizbank import networks
from instructor.quizbank.networks import COUNT, SHAPE, NetworkLab, answer
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
