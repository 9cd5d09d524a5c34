"""A relay between two kits on this machine: one makes a card, the other one the same run, to the last digit."""

from pathlib import Path

import pytest

from lab_code.analysis.card import card_to_text, read_card, write_card
from lab_code.tracking.runs import RELAY_OF, read_runs
from lab_code.workshop.handin import write_handin
from lab_code.workshop.kit import read_kit
from tests.conftest import KitOnDisk

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


@pytest.fixture
def card_of(make_kit, tmp_path: Path):
    """A kit, and a function that writes another group's card, changed before it was sealed."""
    from tests.lab_code.analysis.test_card import make_card, make_run, replace

    kit: KitOnDisk = make_kit("group-2")

    def write(**changes: object) -> Path:
        path = tmp_path / "theirs.card"
        made = make_card(make_run(tmp_path / "run"))
        settings = {**made.settings, **changes.pop("settings", {})}  # type: ignore[dict-item]
        write_card(path, replace(made, settings=settings, **changes))  # type: ignore[arg-type]
        return path

    return kit, write


def test_a_card_that_cannot_be_repeated_here_is_named_and_nothing_is_trained(card_of) -> None:
    kit, write = card_of
    cases = {
        "is of the workshop 'large', this kit is of 'small'": {"workshop": "large"},
        "stage 3": {"code": {"lab_code/losses/focal.py": "0"}},
        "not here: lab_code/models/ours.py": {"code": {"lab_code/models/ours.py": "0"}},
        "needs files that no card holds": {"settings": {"data": {**read_settings(write())["data"], "folder": "/etc"}}},
        "seed": {"settings": {"seed": -1}},
        "there is no key": {"settings": {"sede": 1}},
    }
    for said, changes in cases.items():
        done = kit.lab("repeat", str(write(**changes)), check=False)
        assert done.returncode == 1 and "Traceback" not in done.stderr, said
        assert said in done.stderr or said == "there is no key", done.stderr
    assert "there is no finished run 'nothing'" in kit.lab("card", "nothing", check=False).stderr
    assert not (kit.root / "mlflow.db").exists()


def read_settings(path: Path) -> dict:
    return read_card(str(path)).settings
