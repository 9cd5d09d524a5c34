"""What must be survived while unlocking: a kill at any instant, no room, no rights, a link, damaged locks."""

import contextlib
import io
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab_code import files
from lab_code.cli import app as cli
from lab_code.errors import LabError
from lab_code.tracking import one_at_a_time
from lab_code.workshop import attempts, locks, progress, unlock
from lab_code.workshop.kit import read_kit
from lab_code.workshop.locks import open_with_answers, open_with_rescue, read_lock
from lab_code.workshop.progress import read_journal
from lab_code.workshop.unlock import unlock_with_answers
from tests.vectors.make_lock_vectors import CHAIN, OWNER, RESCUE, make_lock

pytestmark = pytest.mark.skipif(os.name == "nt", reason="fork and resource limits are POSIX's; Windows has neither")


def run_here(root: Path, *argv: str) -> int:
    """`lab …` in this process, in the kit at `root`, without a word."""
    before = Path.cwd()
    os.chdir(root)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            return cli.main(list(argv))
    finally:
        os.chdir(before)


WRITING = {module.__file__ for module in (attempts, files, one_at_a_time, progress, unlock)}


def kill_at(step: int, root: Path, *argv: str) -> bool:
    """Run `lab …` in a process of its own that kills itself with SIGKILL before it does that line of what writes;
    returns whether it got there."""
    child = os.fork()
    if not child:
        left = step

        def count(frame: FrameType, event: str, _: object) -> Callable | None:
            nonlocal left
            if frame.f_code.co_filename not in WRITING:
                return None
            left -= event == "line"
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return count

        sys.settrace(count)
        os._exit(run_here(root, *argv))  # pragma: no cover - another process
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.fixture(autouse=True)
def own_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cli._HANDED_OVER, "1")  # this code, not the kit's copy of it


def test_killed_at_any_step_the_next_unlock_succeeds_and_every_file_is_whole(kit) -> None:
    stage = read_kit(kit.root).stages[0]
    command = ("unlock", "--stage", "1", "--answers", kit.answers[0])
    targets = [
        kit.root / name for name in (*stage.opens, "locked/2-imbalance.chain", "progress.jsonl", ".progress.head")
    ]
    assert run_here(kit.root, *command) == 0
    right = {path: path.read_bytes() for path in targets[:2]}
    for step in itertools.count(0, 3):
        for path in targets:
            path.unlink(missing_ok=True)
        was_killed = kill_at(step, kit.root, *command)
        assert all(not path.exists() or path.read_bytes() == content for path, content in right.items())
        assert run_here(kit.root, *command) == 0
        assert {path: path.read_bytes() for path in right} == right
        journal = read_journal(kit.root)
        assert journal.unlocked(stage.id) and journal.faults == []
        if not was_killed:
            break
    assert step > 100  # it was watched, and went through all of them
    assert not list(kit.root.rglob("*.part"))


def test_a_file_that_the_group_has_edited_survives_every_kill(kit) -> None:
    command = ("unlock", "--stage", "1", "--answers", kit.answers[0])
    assert run_here(kit.root, *command) == 0
    edited = kit.root / read_kit(kit.root).stages[0].opens[0]
    edited.write_text("ours\n", encoding="utf-8")
    for step in itertools.count(0, 5):
        (kit.root / "locked/2-imbalance.chain").unlink(missing_ok=True)
        was_killed = kill_at(step, kit.root, *command)
        assert edited.read_text(encoding="utf-8") == "ours\n"
        if not was_killed:
            break
    assert step > 50


def unlock_in_a_child(kit, before: str, under: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """`lab unlock` in a process that first runs `before`."""
    code = f"import sys\n{before}\nfrom lab_code.cli.app import main\nsys.exit(main(sys.argv[1:]))"
    return subprocess.run(
        [*under, sys.executable, "-c", code, "unlock", "--stage", "1", "--answers", kit.answers[0]],
        cwd=kit.root, capture_output=True, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": str(Path(cli.__file__).parent.parent)},
    )  # fmt: skip


def assert_refused_and_repeatable(kit, done: subprocess.CompletedProcess[str], before: dict[str, bytes]) -> None:
    assert done.returncode == 1 and done.stderr.startswith("error:") and "hint:" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    after = {name: content for name, content in kit.files().items() if not name.startswith(".progress")}
    assert after == before


def test_a_full_disk_leaves_everything_as_it_was(kit) -> None:
    before = kit.files()
    limit = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (16, 16))"
    )
    assert_refused_and_repeatable(kit, unlock_in_a_child(kit, limit), before)
    assert unlock_with_answers(read_kit(kit.root), read_kit(kit.root).stages[0], kit.answers[0]).written


def test_a_read_only_folder_says_so(kit) -> None:
    before, folders = kit.files(), [kit.root, *(path for path in kit.root.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    # root may write everywhere, unless it gives that up
    humbly = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.getuid() == 0 else []
    done = unlock_in_a_child(kit, "", humbly)
    for folder in folders:
        folder.chmod(0o755)
    assert "Permission denied" in done.stderr
    assert_refused_and_repeatable(kit, done, before)


def test_a_folder_in_the_place_of_a_file_is_named_and_kept(kit) -> None:
    identity = read_kit(kit.root)
    place = kit.root / identity.stages[0].opens[0]
    (place / "inside").mkdir(parents=True)
    done = unlock_in_a_child(kit, "")
    assert done.returncode == 1 and "Is a directory" in done.stderr and "Traceback" not in done.stderr
    assert (place / "inside").is_dir() and not read_journal(kit.root).unlocked(identity.stages[0].id)


def test_a_folder_that_was_made_a_link_leads_nowhere(kit, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (kit.root / "lab_code/conf/experiment").symlink_to(outside, target_is_directory=True)
    with pytest.raises(LabError, match="outside of the kit"):
        unlock_with_answers(read_kit(kit.root), read_kit(kit.root).stages[0], kit.answers[0])
    assert list(outside.iterdir()) == []


SOUND = make_lock()


def places_in(value: object, path: tuple = ()) -> list[tuple]:
    """The keys that lead to every value of a JSON document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in inner for place in places_in(child, (*path, key)))]


def put(document: dict, place: tuple, value: object) -> object:
    """The document with another value at a place."""
    if not place:
        return value
    copy = json.loads(json.dumps(document))
    parent = copy
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    return copy


def edit_bytes(edits: list[tuple[int, int, bytes]]) -> bytes:
    raw = SOUND
    for place, length, new in edits:
        raw = raw[:place] + new + raw[place + length :]
    return raw


EDITS = st.tuples(st.integers(0, len(SOUND)), st.integers(0, 12), st.binary(max_size=12))
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(), st.text(max_size=20),
    st.lists(st.integers(), max_size=3), st.dictionaries(st.text(max_size=3), st.none(), max_size=2),
)  # fmt: skip
DAMAGED = st.one_of(
    st.lists(EDITS, min_size=1, max_size=4).map(edit_bytes),
    st.tuples(st.sampled_from(places_in(json.loads(SOUND))), VALUES).map(
        lambda edit: json.dumps(put(json.loads(SOUND), *edit)).encode()
    ),
)


@settings(max_examples=400)
@given(st.lists(DAMAGED, min_size=10, max_size=10))
def test_4_000_damaged_locks_open_or_are_refused(tmp_path_factory, damaged: list[bytes]) -> None:
    file = _scratch(tmp_path_factory) / "x.lab"
    for raw in damaged:
        file.unlink(missing_ok=True)  # a new file each time: some disks flush one that is written over
        file.write_bytes(raw)
        try:
            lock = read_lock(file, *OWNER)
        except LabError as error:
            assert error.hint and error.message
            continue
        kdf = lock.header["kdf"]
        assert kdf["memory_kib"] <= 262_144 and kdf["iterations"] <= 16 and kdf["lanes"] <= 8
        if kdf["memory_kib"] > 4096:  # within the bounds, and only slow
            continue
        for open_it, key in ((open_with_answers, (["3", "1", "0.5"], CHAIN.encode())), (open_with_rescue, (RESCUE,))):
            try:
                assert all(locks.check_inside(name) for name in open_it(lock, *key))
            except LabError as error:
                assert error.hint and error.message


def _scratch(factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a test."""
    folder = factory.getbasetemp() / "damaged"
    folder.mkdir(exist_ok=True)
    return folder
