"""The process that a queue starts on a server: it has a run trained, and says how that ended.

    python -m lab_code.jobs.worker JOB 3         # the third task of an array; `all`: one after the other

It is the job itself, so it hears what the queue has to say: USR1 shortly before the time is over, TERM when the job
shall end. Either becomes Ctrl-C for what is being trained, which keeps its checkpoint. When the time is over the job
is queued again where `servers.yaml` says so, and goes on in the same run.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from lab_code.files import write_whole

_SIGNALS = {signal.SIGUSR1: "timed_out", signal.SIGTERM: "stopped", signal.SIGHUP: "stopped"}
_TASKS, _RUN = "tasks", "run.json"


class Worker:
    """Trains tasks one after the other; `told` is why no other shall begin."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.told = folder, ""
        self._job: dict[str, Any] = json.loads((folder / "job.json").read_text(encoding="utf-8"))
        self._child: subprocess.Popen[bytes] | None = None
        for number in _SIGNALS:
            signal.signal(number, self._hear)
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # a shell's background job ignores it, and its children

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.told = self.told or _SIGNALS[signal.Signals(number)]
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)

    def work(self, root: Path) -> None:
        """Train one task, and write down how it ended."""
        (root / "ended.json").unlink(missing_ok=True)
        about = {"host": socket.gethostname(), "pid": os.getpid(), "at": time.time()}
        write_whole(root / "started.json", json.dumps(about))
        with (root / "log.txt").open("ab") as log:
            self._child = subprocess.Popen(
                self._command(root), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            if self.told:  # it was told while the child began
                self._child.send_signal(signal.SIGINT)
            code = self._child.wait()
        if code and self.told == "timed_out" and self._queue_again(root):
            return
        write_whole(root / "ended.json", json.dumps(self._describe_end(root, code)))

    def _command(self, root: Path) -> list[str]:
        task = json.loads((root / "task.json").read_text(encoding="utf-8"))
        train = ["-m", f"lab_code.jobs.{'search_task' if task.get('search') else 'train_task'}", str(root)]
        count = self._job["processes"]
        if count < 2:
            return [sys.executable, *train]
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        return [sys.executable, *torchrun, *train]

    def _describe_end(self, root: Path, code: int) -> dict[str, Any]:
        said = root / "error.json"
        error = json.loads(said.read_text(encoding="utf-8")) if code and said.is_file() else {}
        if code and self.told:
            return {"state": self.told, "reason": "its time was over" if self.told == "timed_out" else ""}
        if code and not error:
            lines = (root / "log.txt").read_text(encoding="utf-8", errors="replace").split("\n")
            last = next((line for line in reversed(lines) if line.strip()), "it said nothing")
            killed = "it was killed, by a lack of memory perhaps: " if code == -signal.SIGKILL else ""
            error = {"error": f"{killed}{last}", "hint": f"its whole log is {root / 'log.txt'} there"}
        return {"state": "failed", **error} if code else {"state": "finished"}

    def _queue_again(self, root: Path) -> bool:
        """Give the job back to Slurm, which begins it anew; False where that is not wanted or not possible."""
        array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
        job = f"{array}_{task}" if array else os.environ.get("SLURM_JOB_ID", "")
        wanted = self._job["requeue"] and job and not (self.folder / "stop").exists()
        if not wanted or not (root / _RUN).is_file():
            return False
        done = subprocess.run(["scontrol", "requeue", job], capture_output=True)
        return done.returncode == 0


def main(argv: list[str]) -> int:
    """Exit code 0 also where a task has failed: how each ended stands in its folder."""
    worker = Worker(Path.cwd())
    chosen = range(len(list(Path(_TASKS).iterdir()))) if argv[1] == "all" else [int(argv[1])]
    with open("worker.lock" if argv[1] == "all" else f"worker-{argv[1]}.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for number in chosen:
            if worker.told:
                break
            worker.work((Path(_TASKS) / str(number)).resolve())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
