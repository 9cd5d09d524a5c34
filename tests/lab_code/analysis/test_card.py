"""Run cards: everything for another group in a small file or a QR code; what was edited, cut or made up is named."""

import base64
import json
import zlib
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import segno

from lab_code.analysis.card import (
    BEGIN,
    LARGEST,
    Card,
    card_to_text,
    find_other_code,
    looks_like_card,
    make_card,
    read_card,
    relay_config,
    write_card,
)
from lab_code.analysis.compare import compare_repeat
from lab_code.config import compose_config, config_to_yaml, flatten_config
from lab_code.errors import LabError
from lab_code.tracking.provenance import code_to_json, read_code
from lab_code.tracking.runs import Run


def make_run(folder: Path, *changes: str) -> Run:
    """A finished run as its record says it, without training."""
    config = compose_config([*changes, "name=mine"])
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(config_to_yaml(config), encoding="utf-8")
    (folder / "code.json").write_text(code_to_json(read_code()), encoding="utf-8")
    params = {key: str(value) for key, value in flatten_config(config).items()}
    scores = {f"best_{name}": 0.1 + 0.2 for name in ("balanced_accuracy", "accuracy", "macro_auc")}
    scores |= {f"best_sensitivity/{dx}": 1 / 3 for dx in ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")}
    scores |= {f"interval/{name}_{end}": 2 / 7 for name in ("accuracy", "balanced_accuracy") for end in ("low", "high")}
    facts = {"data.fingerprint": "0123456789ab+0123456789ab", "code.fingerprint": "c0de", "machine.device": "cpu"}
    tags = {"workshop": "small", "group": "group-1", **facts}
    return Run("0123abcd" * 4, "mine", "FINISHED", 1, 2, folder, params, {**scores, "time/train_s": 3.0}, tags)


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Card:
    return make_card(make_run(tmp_path_factory.mktemp("run"), "seed=3"))


def test_a_card_holds_what_is_needed_and_comes_back_from_file_and_text(card: Card, tmp_path: Path) -> None:
    path = tmp_path / "mine.card"
    assert write_card(path, card) < LARGEST
    assert read_card(str(path)) == read_card(card_to_text(card)) == card
    assert read_card(f" {card_to_text(card).lower()}\n") == card  # as a telephone may send it
    assert relay_config(card).seed == 3 and relay_config(card).name == "mine-of-group-1"
    assert len(card.scores) == 14 and card.facts["data.fingerprint"] and "lab_code/training/trainer.py" in card.code
    assert compare_repeat(card.as_run(), card.as_run()).scores == []


@pytest.mark.parametrize("changes", [(), ("framework=sklearn",), ("model=resnet18",), ("framework=tensorflow",)])
def test_every_kind_of_run_fits_into_one_qr_code(tmp_path: Path, changes: tuple[str, ...]) -> None:
    text = card_to_text(make_card(make_run(tmp_path / "run", *changes)))
    code = segno.make_qr(text, error="l", boost_error=False)
    assert code.mode == "alphanumeric" and int(code.version) <= 36


def edit(card: Card, **changes: object) -> str:
    """A card as somebody leaves it who knows nothing of its seal."""
    return json.dumps({"format": 1, **asdict(card), **changes, "seal": card.seal})


def pack(text: str) -> str:
    packed = base64.b32encode(zlib.compress(text.encode())).decode().rstrip("=")
    return f"{BEGIN}{len(packed)}/{packed}"


BAD = {
    "edited scores": (lambda card: edit(card, scores={**card.scores, "best_accuracy": 0.99}), "was changed after"),
    "edited settings": (lambda card: edit(card, settings={**card.settings, "seed": 4}), "was changed after"),
    "another group": (lambda card: edit(card, group="group-9"), "was changed after"),
    "a score that is text": (lambda card: edit(card, scores={"best_accuracy": "much"}), "a number in it is none"),
    "a name with signs": (lambda card: edit(card, name="\x1b[2J"), "a text in it is none"),
    "too many keys": (lambda card: edit(card, more=1), "no run card"),
    "no settings": (lambda card: edit(card, settings=None), "no run card"),
    "no seal": (lambda card: json.dumps(asdict(card)), "it has no seal"),
    "a later version": (lambda card: json.dumps({**json.loads(edit(card)), "format": 2}), "another version"),
    "cut text": (lambda card: card_to_text(card)[:-20], "is cut off"),
    "doubled text": (lambda card: card_to_text(card) + "AAAA", "is too long"),
    "a letter changed": (lambda card: card_to_text(card)[:-9] + "AAAAAAAAA", "damaged|seal|no run card"),
    "odd signs": (lambda card: f"{BEGIN}12/abc!", "signs that no card has"),
    "a bomb": (lambda card: pack("[" * 3_000_000), "no run card"),
    "no card at all": (lambda card: "[1, 2]", "no run card"),
    "nothing": (lambda card: "", "no run card"),
    "deep": (lambda card: "[" * 10_000, "no run card"),
    "a huge text": (lambda card: f"{BEGIN}9/" + "A" * LARGEST, "which no card has"),
    "huge": (lambda card: " " * (LARGEST + 1), "which no card has"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_whole_unchanged_card_is_named(card: Card, tmp_path: Path, case: str) -> None:
    make, said = BAD[case]
    path = tmp_path / "x.card"
    path.write_text(make(card), encoding="utf-8")
    with pytest.raises(LabError, match=said) as caught:
        read_card(str(path))
    assert caught.value.hint


def test_a_card_that_is_not_there_is_named_and_a_runs_name_is_no_card() -> None:
    with pytest.raises(LabError, match=r"there is no card nowhere\.card"):
        read_card("nowhere.card")
    assert not looks_like_card("baseline") and looks_like_card("a/b.card") and looks_like_card("labcard/3/aaa")


def test_code_that_differs_is_named_by_its_file_and_settings_of_other_files_make_no_difference(card: Card) -> None:
    here = read_code()
    assert find_other_code(card, here).describe() == ""
    here["lab_code/losses/__init__.py"] += "\n# mine"
    here["lab_code/frameworks/sklearn.py"] = ""  # which the run did not use
    here["lab_code/conf/train.yaml"] = ""  # the card brings its settings
    del here["lab_code/models/small_cnn.py"]
    found = find_other_code(card, here)
    assert (found.missing, found.changed) == (["lab_code/models/small_cnn.py"], ["lab_code/losses/__init__.py"])
    assert found.describe() == "not here: lab_code/models/small_cnn.py; not the same here: lab_code/losses/__init__.py"


@pytest.mark.parametrize("change", ["model.weights=best.pth", "data.folder=/elsewhere"])
def test_no_card_is_made_of_a_run_that_depends_on_other_files(tmp_path: Path, change: str) -> None:
    with pytest.raises(LabError, match="files that no card can hold"):
        make_card(make_run(tmp_path / "run", change))


def test_a_record_without_its_code_is_named(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    (tmp_path / "run" / "code.json").unlink()
    with pytest.raises(LabError, match=r"code\.json does not hold the code"):
        make_card(run)


def test_names_of_other_groups_become_names_that_every_system_takes(card: Card) -> None:
    odd = replace(card, name="a/b: " + "x" * 200, group="../../x")
    assert relay_config(odd).name == f"a-b--{'x' * 55}-of--..-x"
