"""What `lab unlock` does: find the stage, try the key, write the files, note it in the journal.

Nothing is written before the whole lock has been opened and checked. Every file appears whole or not at all; a
second unlock repairs what is missing and leaves files alone that the group has changed.
"""

from dataclasses import dataclass, field

from lab_code.errors import LabError
from lab_code.files import write_whole
from lab_code.workshop.codes import read_code
from lab_code.workshop.kit import Kit, Stage, missing_stage_files
from lab_code.workshop.locks import (
    RESCUE_BYTES,
    Lock,
    WrongKeyError,
    open_with_answers,
    open_with_rescue,
    read_lock,
)
from lab_code.workshop.progress import append_event, read_journal
from lab_code.workshop.quiz import parse_answers


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


def unlock_with_answers(kit: Kit, stage: Stage, text: str) -> Unlocked:
    """Open a stage by its answers. A wrong list is counted in the journal and changes nothing else."""
    answers = parse_answers(text, kit, stage)
    lock = _read_stage_lock(kit, stage)
    chain = _read_chain(kit, lock)
    try:
        files = open_with_answers(lock, answers, chain)
    except WrongKeyError as error:
        append_event(kit.root, "unlock_failed", stage=stage.id)
        attempts = len(read_journal(kit.root).of("unlock_failed", stage.id))
        raise WrongKeyError(
            f"these answers do not open stage {kit.number(stage)} '{stage.title}' (attempt {attempts})",
            hint="at least one of them is wrong; look again in the files that the questions name",
        ) from error
    return _apply(kit, stage, files, "answers")


def unlock_with_rescue(kit: Kit, stage: Stage, code: str) -> Unlocked:
    """Open a stage by the instructor's rescue code."""
    secret = read_code(code, RESCUE_BYTES)
    return _apply(kit, stage, open_with_rescue(_read_stage_lock(kit, stage), secret), "rescue")


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
    for name, content in files.items():
        path = kit.root / name
        if not path.is_file():
            write_whole(path, content)
            done.written.append(name)
        elif path.read_bytes() == content:
            done.present.append(name)
        else:
            done.kept.append(name)
    if not read_journal(kit.root).unlocked(stage.id):
        append_event(kit.root, "unlocked", stage=stage.id, by=how)
    return done
