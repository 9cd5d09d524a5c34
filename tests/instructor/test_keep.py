"""What the project has found out beforehand is what it would find out now."""

import ast
from dataclasses import replace

import pytest

from instructor.locks.lock import is_lock_of
from instructor.provision.kit_locks import TEST_BROUGHT, TEST_FILES, describe_test_lock
from instructor.quizbank import networks
from instructor.quizbank.bank import load_bank
from instructor.quizbank.networks import BROUGHT, BUILT_FROM, NetworkLab, read_kept
from instructor.workshop import PROJECT, LockSettings, read_workshop
from lab_code.workshop.doctor import TEST_ANSWERS, TEST_GROUP, TEST_STAGE
from lab_code.workshop.locks import open_with_answers, read_lock


def test_the_bank_asks_nothing_of_networks_that_the_project_has_not_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_kept(BROUGHT), "a network or a version has changed: .venv/bin/python -m instructor.keep"
    monkeypatch.setattr(networks, "_KNOWN", {})
    monkeypatch.delitem(networks.sys.modules, "torch", raising=False)
    monkeypatch.setattr(NetworkLab, "_ask", lambda lab, question: pytest.fail(f"{question}: python -m instructor.keep"))
    load_bank(read_workshop())


def test_the_doctors_lock_is_brought_and_made_anew_where_locks_cost_something_else() -> None:
    shipped = read_workshop()
    spec, secrets = describe_test_lock(shipped)
    assert is_lock_of(TEST_BROUGHT.read_bytes(), spec, secrets), "another lock: .venv/bin/python -m instructor.keep"
    lock = read_lock(TEST_BROUGHT, shipped.id, TEST_GROUP, TEST_STAGE)
    assert open_with_answers(lock, TEST_ANSWERS, None) == TEST_FILES
    for other in (replace(shipped, id="another"), replace(shipped, locks=LockSettings(memory_kib=64, iterations=1))):
        assert not is_lock_of(TEST_BROUGHT.read_bytes(), *describe_test_lock(other))


def test_it_depends_on_all_code_that_builds_a_network() -> None:
    package = PROJECT / "lab_code"
    found, waiting = set(), list((package / "models").glob("*.py"))
    while waiting:
        path = waiting.pop()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("lab_code."):
                place = PROJECT / str(node.module).replace(".", "/")
                module = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
                if module not in found:
                    found.add(module)
                    waiting.append(module)
    assert {path.relative_to(package).parts[0] for path in found} <= set(BUILT_FROM)
