"""What `lab unlock` does: find the stage, try the key, write the files, note it in the journal.

Nothing is written before the whole lock has been opened and checked. Every file appears whole or not at all; a
second unlock repairs what is missing and leaves files alone that the group has changed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from lab_code.errors import LabError
from lab_code.files import remove_leftovers, write_whole
from lab_code.tracking.one_at_a_time import one_at_a_time
from lab_code.workshop.attempts import count_wrong_in_a_row, pause_after, pause_left
from lab_code.workshop.codes import canonical_words, read_code
from lab_code.workshop.kit import Kit, Stage, missing_stage_files
from lab_code.workshop.locks import (
    RESCUE_BYTES,
    Lock,
    WrongKeyError,
    open_with_answers,
    open_with_rescue,
    read_lock,
)
from lab_code.workshop.progress import append_event, read_journal, tidy_journal
from lab_code.workshop.quiz import example_answers, parse_answers, read_questions

_TRIES_LOCK, _FILES_LOCK = ".unlock.lock", ".files.lock"
_PATIENCE_S = 90  # the longest pause, and a slow laptop's second for the key


@dataclass
class Unlocked:
    """What an unlock did: files written, files that were there already, files kept because the group changed them."""

    stage: Stage
    written: list[str] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)


def next_stage(kit: Kit) -> Stage | None:
    """The first stage that is locked, or whose files are incomplete; None when everything is open."""
    journal = read_journal(kit.root)
    for stage in kit.stages:
        if not journal.unlocked(stage.id) or missing_stage_files(kit, stage):
            return stage
    return None


def unlock_with_answers(
    kit: Kit,
    stage: Stage,
    text: str,
    room_code: str | None = None,
    pause: Callable[[float], object] = time.sleep,
    on_try: Callable[[], object] | None = None,
) -> Unlocked:
    """Open a stage by its answers. A wrong list is counted in the journal and changes nothing else.

    After wrong lists `pause` is called with the seconds that are left to wait; `on_try` is called before the key is
    derived, which takes about a second.
    """
    answers = parse_answers(text, kit, stage)
    lock = _read_stage_lock(kit, stage)
    chain = _read_chain(kit, lock)
    words = _check_room_code(kit, stage, lock, room_code)
    with one_at_a_time(kit.root / _TRIES_LOCK, "trying answers", _PATIENCE_S):  # several windows share one pause
        left = pause_left(read_journal(kit.root), stage.id)
        if left:
            pause(left)
        if on_try:
            on_try()
        try:
            files = open_with_answers(lock, answers, chain, words)
        except WrongKeyError as error:
            append_event(kit.root, "unlock_failed", stage=stage.id, answers=",".join(answers))
            raise _explain_wrong(kit, stage, words) from error
    return _apply(kit, stage, files, "answers")


def unlock_with_rescue(kit: Kit, stage: Stage | None, code: str) -> Unlocked:
    """Open a stage by the instructor's rescue code, which knows its stage where none is given."""
    secret = read_code(code, RESCUE_BYTES)
    refused: WrongKeyError | None = None
    for candidate in [stage] if stage else kit.stages:
        try:
            return _apply(kit, candidate, open_with_rescue(_read_stage_lock(kit, candidate), secret), "rescue")
        except WrongKeyError as error:
            refused = error
    assert refused is not None
    if stage:
        raise refused
    raise WrongKeyError(
        f"this rescue code opens no stage of {kit.group}", hint="ask the instructor for the code of your own group"
    ) from refused


def _check_room_code(kit: Kit, stage: Stage, lock: Lock, typed: str | None) -> str | None:
    """The room code in its canonical spelling; None where the lock needs none."""
    if not lock.needs_room_code:
        return None
    words = canonical_words(typed or "")
    if not words:
        example = example_answers(read_questions(kit)[stage.id])
        raise LabError(
            f"stage {kit.number(stage)} also needs the room code, which the instructor shows",
            hint=f'lab unlock --answers {example} --room-code "the words on the wall"',
        )
    return words


def _explain_wrong(kit: Kit, stage: Stage, words: str | None) -> WrongKeyError:
    journal = read_journal(kit.root)
    attempts = len(journal.of("unlock_failed", stage.id))
    wait = pause_after(count_wrong_in_a_row(journal, stage.id))
    hint = "at least one of them is wrong (that costs no points); look again in the files that the questions name"
    if words:
        hint += f"; the room code was read as {words}"
    if wait:
        hint += f"; the next try waits {wait} s; a hint to question 1: lab hint 1"
    return WrongKeyError(
        f"these answers do not open stage {kit.number(stage)} '{stage.title}' (attempt {attempts})", hint=hint
    )


def _read_stage_lock(kit: Kit, stage: Stage) -> Lock:
    return read_lock(kit.root / stage.lock, kit.workshop, kit.group, stage.id)


def _read_chain(kit: Kit, lock: Lock) -> bytes | None:
    if lock.chain_file is None:
        return None
    path = kit.root / lock.chain_file
    if not path.is_file():
        position = [stage.id for stage in kit.stages].index(lock.stage)
        raise LabError(
            f"stage {position + 1} needs stage {position} first",
            hint=f"open stage {position}: lab unlock --stage {position} --answers …",
        )
    return path.read_bytes()


def _apply(kit: Kit, stage: Stage, files: dict[str, bytes], how: str) -> Unlocked:
    done = Unlocked(stage)
    with one_at_a_time(kit.root / _FILES_LOCK, "opening a stage", _PATIENCE_S):
        for name, content in files.items():
            _place_file(kit, name, content, done)
        if not read_journal(kit.root).unlocked(stage.id):
            append_event(kit.root, "unlocked", stage=stage.id, by=how)
        else:
            tidy_journal(kit.root)
    return done


def _place_file(kit: Kit, name: str, content: bytes, done: Unlocked) -> None:
    path = kit.root / name
    if not path.resolve().is_relative_to(kit.root.resolve()):  # a folder of the kit that was made a link
        raise LabError(f"{name} would be written outside of the kit", hint="remove the link in that folder")
    remove_leftovers(path)
    if not path.is_file():
        write_whole(path, content)
        done.written.append(name)
    elif path.read_bytes() == content:
        done.present.append(name)
    else:
        done.kept.append(name)
