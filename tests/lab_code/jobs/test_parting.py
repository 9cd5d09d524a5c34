"""Runs that part from a process which has imported much already: for whoever waits they are as if they were started."""

import os
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.warm_launcher import warm_launcher

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere programs start as usual")

# What parts: says who its parent is, and ends as it is told.
_PROGRAM = """
import os, signal, sys, time
from pathlib import Path
print("error:", os.getppid(), sys.argv[1:], sys.stdin.read(), file=sys.stderr, flush=True)
print("to nobody")
how = sys.argv[1]
if how == "wait":
    Path("on").touch()
    while not Path("go").exists():
        time.sleep(0.01)
if how == "deaf":
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Path("on").touch()
    time.sleep(99)
if how == "listen":
    assert os.getpgid(0) == os.getpid() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    Path("on").touch()
    try:
        time.sleep(99)
    except KeyboardInterrupt:
        sys.exit(130)
if how == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
sys.exit({"fail": 3, "words": "in words"}.get(how, 0))
"""
_BEGIN = """
import os, signal, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from lab_code.jobs import parting, sweep
parting._NEEDED, parting.import_quietly = (), lambda: None
def begin(how):
    first = pool.submit(children.run, [how])
    while not Path("on").exists():
        time.sleep(0.01)
    return first
with parting.Parting(None) as origin, ThreadPoolExecutor(1) as pool:
    children = sweep.Children(Path(), ["program"], origin)
    parent = {origin._pid: "parted", os.getpid(): "started"}
    def run(*argv):
        show(*children.run(list(argv)))
    def show(code, said):
        print(code, *(parent.get(int(word), word) if word.isdigit() else word for word in said.split()), sep="|")
"""


def run_here(tmp_path: Path, lines: str) -> list[str]:
    """What a process without threads says that lets programs part."""
    (tmp_path / "program.py").write_text(_PROGRAM, encoding="utf-8")
    code = _BEGIN + "".join(f"    {line}\n" for line in lines.splitlines())
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}{os.pathsep}{tmp_path}"}
    done = warm_launcher().run(["-c", code], tmp_path, environment=environment, patience_s=60)
    assert done.code == 0, done.err
    return done.out.splitlines()


@pytest.mark.parametrize(
    ("how", "code", "words"), [("fail", 3, []), ("words", 1, ["in", "words"]), ("killed", -9, []), ("end", 0, [])]
)
def test_what_has_parted_says_what_it_says_and_ends_as_it_ends(
    tmp_path: Path, how: str, code: int, words: list[str]
) -> None:
    (said,) = run_here(tmp_path, f"run({how!r})")
    assert said.split("|") == [str(code), "error:", "parted", f"['{how}']", *words]


@pytest.mark.parametrize(("how", "code"), [("listen", 130), ("deaf", -9)])
def test_what_has_parted_is_stopped_with_the_sweep_and_what_does_not_listen_is_ended(
    tmp_path: Path, how: str, code: int
) -> None:
    lines = f"sweep._GRACE_S = 0.05 if {how!r} == 'deaf' else 30; sweep._LAST_S = 0.05\nfirst = begin({how!r})"
    said = run_here(tmp_path, f"{lines}\nchildren._stop()\nshow(*first.result())\nrun('end')")
    assert [line.split("|")[0] for line in said] == [str(code), "1"] and said[1].endswith("stopped|before|it|began")


@pytest.mark.parametrize(
    "harm", ["os.kill(origin._pid, 9)", "parting.read_code = lambda: {'changed.py': ''}"], ids=["killed", "code"]
)
def test_without_what_they_part_from_or_with_other_code_programs_start_as_usual(tmp_path: Path, harm: str) -> None:
    said = run_here(tmp_path, f"run('fail')\n{harm}\nrun('fail')\nrun('end')")
    assert [line.split("|")[0] + line.split("|")[2] for line in said] == ["3parted", "3started", "0started"]


def test_a_run_outlives_what_it_has_parted_from_and_is_waited_for(tmp_path: Path) -> None:
    lines = "first = begin('wait')\nos.kill(origin._pid, 9)\nprint(first.done())\nPath('go').touch()"
    said = run_here(tmp_path, f"{lines}\nshow(*first.result())")
    assert said[0] == "False" and said[1].startswith("-9|error:|parted"), "nobody has seen how it ended"


def test_nothing_parts_from_a_process_with_threads(tmp_path: Path) -> None:
    lines = "with parting.Parting(None) as other:\n    print(other.start('program', ['end']))"
    assert run_here(tmp_path, f"pool.submit(int).result()\n{lines}") == ["None"]
