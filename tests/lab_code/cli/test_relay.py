"""A relay between two kits on this machine: one makes a card, the other one the same run, to the last digit."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab_code.analysis.card import card_to_text, make_card, read_card, write_card
from lab_code.cli import app as cli
from lab_code.tracking.runs import RELAY_OF, read_runs
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import read_kit
from tests.conftest import KitOnDisk
from tests.lab_code.analysis.test_card import make_run

TINY = ["trainer.epochs=1", "model.width=2", "data.image_size=16", "trainer.device=cpu", "name=tiny"]


def test_a_run_repeated_by_another_group_agrees_to_the_digit_and_changed_code_is_named(make_kit) -> None:
    one, two = make_kit("group-1"), make_kit("group-2")
    one.lab("train", *TINY)
    said = one.lab("card", "tiny").stdout
    (path,) = (one.root / "cards").glob("*.card")
    assert f"cards/{path.name}" in said and path.with_suffix(".png").stat().st_size < 20_000
    assert path.stat().st_size < 20_000 and path.with_suffix(".svg").is_file()

    said = two.lab("repeat", str(path)).stdout
    assert "The same to the last digit: all " in said and "points for group-1 and for you" in said
    (again,) = read_runs(two.root)
    (first,) = read_runs(one.root)
    assert again.is_relay and again.tags[RELAY_OF] == first.run_id and again.name == "tiny-of-group-1"

    loss = two.root / "lab_code" / "losses" / "cross_entropy.py"
    text = loss.read_text(encoding="utf-8")
    assert "(logits, labels)" in text
    loss.write_text(text.replace("(logits, labels)", "(logits, labels, label_smoothing=0.3)"), encoding="utf-8")
    done = two.lab("repeat", card_to_text(read_card(str(path))))
    assert "scores differ" in done.stdout
    assert "the code is not the same here: lab_code/losses/cross_entropy.py" in done.stdout
    assert write_handin(read_kit(two.root))[2] == 2


CASES = {
    "another workshop": ({"workshop": "large"}, "is of the workshop 'large', this kit is of 'small'"),
    "code of a locked stage": ({"code": {"lab_code/losses/focal.py": "0"}}, "stage 3"),
    "code of its own": ({"code": {"lab_code/models/ours.py": "0"}}, "not here: lab_code/models/ours.py"),
    "other photographs": ({"settings": {"data": {"folder": "/etc"}}}, "needs files that no card holds"),
    "weights from a file": ({"settings": {"model": {"weights": "x.pth"}}}, "needs files that no card holds"),
    "a seed that cannot be": ({"settings": {"seed": -1}}, "seed is -1"),
    "a setting that is none": ({"settings": {"sede": 1}}, "sede"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_card_that_cannot_be_repeated_here_is_named_and_nothing_is_trained(
    kit: KitOnDisk, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    changes, said = CASES[case]
    made, changed = make_card(make_run(tmp_path / "run")), dict(changes)
    settings = json.loads(json.dumps(made.settings))
    for key, value in changed.pop("settings", {}).items():
        settings[key] = {**settings[key], **value} if isinstance(value, dict) else value
    write_card(tmp_path / "theirs.card", replace(made, settings=settings, **changed))
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")  # this code, not the kit's copy of it
    assert cli.main(["repeat", str(tmp_path / "theirs.card")]) == 1
    assert said in capsys.readouterr().err
    assert not (kit.root / "mlflow.db").exists()


def test_a_card_of_a_run_that_is_not_there_is_named(kit: KitOnDisk, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(kit.root)
    monkeypatch.setenv(cli._HANDED_OVER, "1")
    assert cli.main(["card", "nothing"]) == 1
    assert "there is no finished run 'nothing'" in capsys.readouterr().err and not (kit.root / "cards").exists()
