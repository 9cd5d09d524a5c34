"""The starter notebook in a real kernel that is interrupted, restarted, and not alone."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty

import pytest
from jupyter_client.manager import start_new_kernel

from lab_code.tracking.runs import read_runs
from lab_code.workshop.progress import read_journal
from tests.warm_kernel import use_warm_kernels

pytestmark = pytest.mark.slow
_PATIENCE_S = 180
_BEGIN = "from kit import *"
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Kernel:
    """A kernel as the notebook gets one, in the kit's folder of notebooks."""

    def __init__(self, root: Path) -> None:
        use_warm_kernels()
        self.manager, self.client = start_new_kernel(kernel_name="python3", cwd=str(root / "notebooks"))

    def run(self, code: str, interrupt_when: Callable[[str], bool] | None = None) -> tuple[str, str]:
        """Execute a cell; ("ok" or "error", everything it showed). Interrupt it once `interrupt_when(shown)` holds."""
        self.start(code)
        if interrupt_when is not None:
            if not self.watch(interrupt_when):
                return self._read_reply()
            self.manager.interrupt_kernel()
        self.watch(lambda shown: False)
        return self._read_reply()

    def start(self, code: str) -> None:
        self._sent, self.shown = self.client.execute(code), ""

    def watch(self, until: Callable[[str], bool]) -> bool:
        """Collect what the cell shows until that holds; False where the cell ends before."""
        while True:
            try:
                message = self.client.get_iopub_msg(timeout=_PATIENCE_S)
            except Empty:
                raise AssertionError(f"the cell does not end; it has shown: {self.shown}") from None
            if message["parent_header"].get("msg_id") != self._sent:
                continue
            content = message["content"]
            if message["msg_type"] == "status" and content["execution_state"] == "idle":
                return False
            self.shown += content.get("text", "") + content.get("data", {}).get("text/plain", "")
            self.shown = _STYLE.sub("", self.shown + "\n".join(content.get("traceback", ())))
            if until(self.shown):
                return True

    def _read_reply(self) -> tuple[str, str]:
        """An interrupt that falls between a cell and its reply takes the reply with it; the next reply shows that."""
        after, status = self.client.kernel_info(), "error"
        while True:
            try:
                reply = self.client.get_shell_msg(timeout=10)
            except Empty:  # this reply is gone as well
                return status, self.shown
            answered = reply["parent_header"].get("msg_id")
            if answered == self._sent:
                status = reply["content"]["status"]
            if answered == after:
                return status, self.shown

    def restart(self) -> None:
        self.manager.restart_kernel(now=True)
        self.client.wait_for_ready(timeout=_PATIENCE_S)

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.context.destroy()


@contextmanager
def kernel_in(root: Path) -> Iterator[Kernel]:
    kernel = Kernel(root)
    try:
        yield kernel
    finally:
        kernel.stop()


def read_sections(root: Path, answers: list[str]) -> list[list[str]]:
    """The code cells, section by section; each form is answered by the command that it stands for."""
    sections: list[list[str]] = [[]]
    for cell in json.loads((root / "notebooks" / "starter.ipynb").read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and "\n## " in f"\n{source}" and sections[-1]:
            sections.append([])
        if cell["cell_type"] == "code":
            sections[-1].append(source)
            if source.endswith("\nhandin()"):
                sections[-1].append("from kit import handin; handin().run()")
            if asked := re.search(r"^quiz\((\d)\)$", source, re.MULTILINE):
                number = int(asked[1])
                sections[-1].append(
                    f'from kit import lab; lab("unlock --stage {number} --answers {answers[number - 1]}")'
                )
    return sections


def stop_training(kernel: Kernel, cell: str, root: Path) -> None:
    """Interrupt a run after its first epoch: it ends as killed, with its best weights, and is told how it goes on."""
    status, shown = kernel.run(cell, lambda shown: "epoch   1" in shown)
    assert status == "error" and "Stopped by you. Nothing is lost" in shown
    assert "Traceback" not in shown and "error" not in shown  # the group has stopped it itself
    assert ": stopped after" in shown and "lab resume" in shown
    run = read_runs(root)[-1]
    assert (run.status, run.tags["ended"]) == ("KILLED", "interrupted")
    assert (run.artifacts / "weights.safetensors").is_file() and run.metrics["best_epoch"] >= 1


def test_a_kernel_that_is_interrupted_and_restarted_in_each_section_leads_to_the_same_end(kit) -> None:
    sections = read_sections(kit.root, kit.answers)
    assert len(sections) == 8
    with kernel_in(kit.root) as kernel:
        for section in sections:
            for cell in section:  # once interrupted: at its start, or in the first epoch
                if '\nlab("train' in cell:
                    stop_training(kernel, cell, kit.root)
                else:
                    kernel.run(cell, lambda shown: True)
            kernel.restart()
            for cell in section:  # which need nothing of the sections before
                status, shown = kernel.run(cell)
                assert status == "ok", f"{cell}\n{shown}"
                assert '\nlab("train' not in cell or "is finished" in shown
        kernel.restart()
        shown = {cell: kernel.run(cell) for section in sections for cell in section}
        assert all(status == "ok" for status, _ in shown.values()), shown
        assert sum("is finished already" in text for _, text in shown.values()) == 2
        status, text = kernel.run("print('here'); import time; time.sleep(60)", lambda shown: "here" in shown)
        assert status == "error" and "Stopped by you" in text and "KeyboardInterrupt" not in text
    ended = [(run.name, run.status) for run in read_runs(kit.root)]
    assert ended == [("baseline", "FINISHED"), ("balanced", "FINISHED")]  # each in the run that was stopped
    journal = read_journal(kit.root)
    assert [event["stage"] for event in journal.of("unlocked")] == ["1-configuration", "2-imbalance", "3-your-own"]
    assert not journal.faults and not journal.of("unlock_failed")
    assert not list(kit.root.rglob("*.part")) and not (kit.root / "checkpoints").exists()


def test_two_notebooks_of_one_kit_do_not_train_the_same_run_and_may_train_others(kit) -> None:
    kit.lab("unlock", "--answers", kit.answers[0])
    first, train = _BEGIN, 'lab("train experiment=baseline --once")'
    with kernel_in(kit.root) as one, kernel_in(kit.root) as other:
        assert [kernel.run(first)[0] for kernel in (one, other)] == ["ok", "ok"]
        one.start(train)
        assert one.watch(lambda shown: "epoch   1" in shown)
        status, shown = other.run(train)
        assert status == "error" and "is being trained right now, by another window" in shown
        assert other.run('lab("train experiment=baseline name=other trainer.epochs=1")')[0] == "ok"
        assert not one.watch(lambda shown: False) and "Run 'baseline' is finished" in one.shown
    assert {run.name: run.status for run in read_runs(kit.root)} == {"baseline": "FINISHED", "other": "FINISHED"}


WRONG = {
    'show_file("lab_code/conf/experiment/balanced.yaml")': "experiment 'balanced' is still locked: stage 2",
    'lab("compare baseline balanced")': "lab compare did not succeed",
    'lab("train optimizer.lrr=1")': "lab train did not succeed",
}


def test_errors_in_a_notebook_read_like_those_of_the_command_line(kit) -> None:
    with kernel_in(kit.root) as kernel:
        assert kernel.run(_BEGIN)[0] == "ok"
        for code, message in WRONG.items():
            status, shown = kernel.run(code)
            assert status == "error" and message in shown
            assert "hint: " in shown and "Traceback" not in shown and 'File "' not in shown


BY_THEMSELVES = [
    'lab("hint 1")',
    'lab("hint --stage 1 2")',
    'lab("hint 2 --stage=1")',
    "hint(1)",
    "!{sys.executable} lab hint 1",
    'main(["hint", "1"])',
    'lab("handin")',
    "handin()",
    "!{sys.executable} lab handin",
    'main(["handin"])',
]


def test_cells_that_are_run_again_buy_no_hint_and_hand_nothing_in(kit) -> None:
    kit.lab("unlock", "--answers", kit.answers[0])
    kit.lab("train", "experiment=baseline", "trainer.epochs=1")
    before = read_journal(kit.root).events
    cells = [
        _BEGIN,
        "import sys; from lab_code.cli.app import main",
        *BY_THEMSELVES,
    ]
    with kernel_in(kit.root) as kernel:
        for _ in range(2):
            shown = {cell: kernel.run(cell) for cell in cells}
            assert all(status == "ok" for status, _ in shown.values()), shown
            kernel.restart()
        for cell in BY_THEMSELVES:
            said = shown[cell][1]
            assert ("a cell of a notebook does not run" in said) == ("main(" in cell or "!" in cell), said
        for cell in cells[:2]:
            kernel.run(cell)
        assert "Hint to question 1" in kernel.run("form = hint(1); form.run(); print(form.said)")[1]
        assert "Receipt:" in kernel.run("form = handin(); form.run(); print(form.said)")[1]
    events = [event["event"] for event in read_journal(kit.root).events[len(before) :] if event["event"] != "began"]
    assert events == ["hint", "handed_in"]
    assert len(list((kit.root / "handin").glob("*.zip"))) == 1
