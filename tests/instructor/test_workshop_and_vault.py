import os
import re
import shutil
from pathlib import Path

import pytest

from instructor import vault as vault_module
from instructor.quizbank.bank import load_bank
from instructor.quizbank.variants import make_variants
from instructor.vault import Vault
from instructor.workshop import PROJECT, WORKSHOP_FILE, find_group, read_workshop
from lab_code.errors import LabError
from lab_code.workshop.codes import read_code
from tests.conftest import DRAW_MASTER


def test_the_committed_workshop_is_valid() -> None:
    workshop = read_workshop()
    assert len(workshop.groups) == 6 and workshop.stages[0].questions == 3


def test_the_plan_of_the_half_hour_is_the_notebooks_and_leaves_time_for_every_question() -> None:
    workshop = read_workshop()
    plan = workshop.schedule.activity
    notebook = (PROJECT / "notebooks/starter.ipynb").read_text(encoding="utf-8")
    said = [(int(number), int(minutes)) for number, minutes in re.findall(r"## (\d) · .*?\((\d+) minutes\)", notebook)]
    assert said == [(number, section.minutes) for number, section in enumerate(plan, 1)]
    assert [int(minutes) for minutes in re.findall(r"\| \d \| .*? \| (\d+) \|", notebook)] == [m for _, m in said]
    for variant in make_variants(workshop, load_bank(workshop), "a secret").values():
        for section in plan:
            asked = variant.get(section.until.removeprefix("unlock "), [])
            assert sum(question.source.time_limit_s for question in asked) <= 60 * section.minutes


def test_a_guess_at_the_committed_locks_is_expensive() -> None:
    assert read_workshop().locks.memory_kib == 262_144


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("title:", "titel:", "titel"),
        ("questions: 3", "questions: three", "questions"),
        ("questions: 3", "question: 3", "question"),
        ("images: 5000", "images: 10", "data.images is out of range"),
        ("groups: [group-1", "groups: [group-2", "groups must be there and differ"),
        ("groups: [group-1", "groups: [../group", "cannot be a folder's name"),
        ("memory_kib: 262144", "memory_kib: 999999999", "locks is out of range"),
        ("seed: 2026 ", "seed: [ ", "line"),
        ("activity_minutes: 30", "activity_minutes: 40", "schedule.activity take 30 minutes together"),
        ("minutes: 8,", "minutes: 9,", "schedule.activity take 31 minutes together"),
        ("until: train balanced", "until: train balanced, optinal: true", "optinal"),
        ("until: train balanced", "until: train blanced", "schedule.activity, entry 4: nothing ends with 'train bl"),
        ("until: unlock 2-imbalance", "until: unlock 2", "schedule.activity, entry 3: nothing ends with 'unlock 2'"),
        ("{minutes: 5, until: train balanced}", "{minutes: 0}\n    - {minutes: 5}", "entry 4: 0 minutes"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = WORKSHOP_FILE.read_text(encoding="utf-8")
    assert old in text
    file = tmp_path / "workshop.yaml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(LabError) as caught:
        read_workshop(file)
    assert message in caught.value.message and str(file) in caught.value.message and caught.value.hint


def test_a_missing_workshop_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is missing"):
        read_workshop(tmp_path / "workshop.yaml")


@pytest.mark.parametrize("name", ["3", "group-3"])
def test_a_group_has_a_name_and_a_number(name: str) -> None:
    assert find_group(read_workshop(), name) == "group-3"
    with pytest.raises(LabError, match="no group '9'"):
        find_group(read_workshop(), "9")


def test_rescue_codes_last_and_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = {Vault(tmp_path).rescue_code("w", f"group-{g}", f"s{s}") for g in range(6) for s in range(3)}
    assert len(codes) == 18
    assert Vault(tmp_path).rescue_code("w", "group-0", "s0") in codes
    assert read_code(Vault(tmp_path).rescue_code("w", "g", "s"), 10) == Vault(tmp_path).rescue_secret("w", "g", "s")
    monkeypatch.setattr(vault_module, "draw_master", lambda: os.urandom(32))
    assert Vault(tmp_path / "other").rescue_code("w", "group-0", "s0") not in codes


# What follows from the master secret, each in one way only.
SECRETS = {
    "rescue": lambda vault: vault.rescue_secret("w", "g", "s").hex(),
    "room code": lambda vault: vault.room_code("w", "s"),
    "review": lambda vault: vault.review_id("w", "g"),
    "answers": lambda vault: vault.answer_secret("w"),
    "hidden photographs": lambda vault: vault.hidden_seed(),
    "fingerprint": lambda vault: vault.fingerprint(),
}


@pytest.mark.parametrize("name", SECRETS)
def test_every_secret_is_drawn_once_lasts_and_travels_with_the_folder(tmp_path: Path, name: str, monkeypatch) -> None:
    secrets = iter([bytes(range(32)), bytes(range(1, 33))])
    monkeypatch.setattr(vault_module, "draw_master", lambda: next(secrets))
    here = SECRETS[name](Vault(tmp_path / "here"))
    assert SECRETS[name](Vault(tmp_path / "here")) == here
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert SECRETS[name](Vault(tmp_path / "there")) == here
    assert SECRETS[name](Vault(tmp_path / "new")) != here


def test_a_new_vault_draws_from_the_system(tmp_path: Path) -> None:
    drawn = {DRAW_MASTER() for _ in range(3)}
    assert len(drawn) == 3 and {len(master) for master in drawn} == {32}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is missing, but .* tells of kits"),
        ("", "holds 0 bytes"),
        ("00" * 31, "holds 31 bytes"),
        ("no secret", "cannot be read"),
        ("é", "cannot be read"),
    ],
)
def test_a_lost_or_damaged_secret_is_never_replaced(tmp_path: Path, content: str | None, message: str) -> None:
    vault = Vault(tmp_path)
    vault.write_key({})
    if content is not None:
        (vault.folder / "master.key").write_text(content, encoding="utf-8")
    before = {path: path.read_bytes() for path in vault.folder.iterdir()}
    with pytest.raises(LabError, match=message) as caught:
        vault.rescue_code("w", "g", "s")
    assert "copy of the vault" in (caught.value.hint or "")
    assert {path: path.read_bytes() for path in vault.folder.iterdir()} == before


def entry(answers: str = "1,2", rescue: str = "A") -> dict[str, str]:
    return {"stage": "s", "answers": answers, "rescue": rescue}


@pytest.mark.parametrize(
    ("after", "is_kept"),
    [
        ({"group-1": [entry()]}, False),
        ({"group-1": [entry()], "group-2": [entry("2,1")]}, False),  # another group
        ({"group-1": [entry("2,1")]}, True),  # other answers
        ({"group-1": [entry(rescue="B")]}, True),  # another code
        ({"group-2": [entry()]}, True),  # a group less
    ],
)
def test_a_key_that_kits_may_still_need_is_kept(tmp_path: Path, after: dict, is_kept: bool) -> None:
    vault = Vault(tmp_path)
    assert vault.write_key({"group-1": [entry()]}) is None
    before = (vault.folder / "key.json").read_bytes()
    kept = vault.write_key(after)
    assert vault.read_key() == after and (kept is not None) == is_kept
    assert kept is None or kept.read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no owner-only mode bits")
def test_the_vault_is_for_its_owner_only(tmp_path: Path) -> None:
    vault = Vault(tmp_path)
    vault.rescue_code("w", "g", "s")
    vault.write_key({"group-1": []})
    assert vault.folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in vault.folder.iterdir())


@pytest.mark.parametrize(("content", "message"), [(None, "no key yet"), ("{", "damaged")])
def test_a_key_that_cannot_be_read_says_make_provision(tmp_path: Path, content: str | None, message: str) -> None:
    vault = Vault(tmp_path)
    if content is not None:
        vault.write_key({})
        (vault.folder / "key.json").write_text(content, encoding="utf-8")
    with pytest.raises(LabError, match=message) as caught:
        vault.read_key()
    assert "make provision" in (caught.value.hint or "")
