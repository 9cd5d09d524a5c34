"""A kit that sends its runs to the course's MLflow: only where `workshop.yaml` says so.

    send_later(kit)                      # after a command; nobody waits for it, and a network that is off costs nothing
    python -m lab_code.workshop.course_server     # what it starts, in the kit's folder

The kit's own store stays the truth. Each run that has ended is copied with its times, every point of every metric and
its files; its id here stands in the tag `lab.run`, by which a copy that was cut off is gone on with. What could not be
sent is sent after a later command. The group's account has a password of its own, drawn from the instructor's vault.
"""

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from lab_code.errors import LabError
from lab_code.files import to_json, write_whole
from lab_code.tracking.runs import DATABASE, EXPERIMENT, Run, open_database, read_runs
from lab_code.workshop.kit import Kit, find_kit

PASSWORD_FILE = ".lab/server.key"
RUN_TAG = "lab.run"
_SENT, _LOCK, _LOG = ".lab/server.json", ".lab/server.lock", ".lab/server.log"
_TIMEOUT_S, _REST_S = 30.0, 60.0
_AT_ONCE = {"metrics": 1000, "params": 100, "tags": 100}  # what MLflow takes in one call
_ENDED = ("FINISHED", "KILLED", "FAILED")
_LARGEST = 1.7976931348623157e308
_HINTS = {
    401: "the instructor gives the account back its password: instructor server user",
    403: "the group's account must not write there: instructor server user",
    500: "is the server's disk full? The instructor: instructor server status",
    507: "the instructor frees some room on the server's disk",
}


@dataclass
class Sent:
    """How many runs were sent and how many wait; `fault` says why they do."""

    sent: int = 0
    waiting: int = 0
    fault: str = ""


@dataclass
class _Notes:
    """What was sent: run id -> when it had ended; and when the server did not answer last."""

    sent: dict[str, str] = field(default_factory=dict)
    fault: str = ""
    failed_at: float = 0.0


def send_later(kit: Kit) -> bool:
    """Start sending in the background where runs wait and the server was not just found to be away."""
    notes = _read_notes(kit.root)
    rests = 0 <= time.time() - notes.failed_at < _REST_S
    if not kit.server or rests or not list_waiting(kit):
        return False
    windows = sys.platform == "win32"
    with (kit.root / _LOG).open("wb") as log:
        subprocess.Popen(
            [sys.executable, "-m", "lab_code.workshop.course_server"], cwd=kit.root, stdin=subprocess.DEVNULL,
            stdout=log, stderr=log, start_new_session=not windows, creationflags=0x208 if windows else 0,
        )  # fmt: skip
    return True


def list_waiting(kit: Kit) -> list[Run]:
    """Runs that have ended and were not sent as they are now."""
    sent = _read_notes(kit.root).sent
    ended = [run for run in read_runs(kit.root) if run.status in _ENDED and run.ended_ms is not None]
    return [run for run in ended if sent.get(run.run_id) != _mark(run)]


def send_runs(kit: Kit) -> Sent:
    """Send what waits, the oldest first; stops at the first fault. Another process that sends does it for this one."""
    result, waiting = Sent(), list_waiting(kit)
    with suppress(Timeout), FileLock(kit.root / _LOCK, timeout=0):
        notes = _read_notes(kit.root)
        try:
            server = _Server(kit)
            for run in waiting:
                server.copy(run)
                notes.sent[run.run_id] = _mark(run)
                _write_notes(kit.root, notes)
                result.sent += 1
            notes = _Notes(notes.sent)
        except LabError as error:
            result.fault = f"{error.message} ({error.hint})" if error.hint else error.message
            notes.fault, notes.failed_at = result.fault, time.time()
        _write_notes(kit.root, notes)
    result.waiting = len(waiting) - result.sent
    return result


def describe_sending(kit: Kit) -> str:
    """For `lab status`: how many runs wait, and why; empty where all were sent, or nobody wants them."""
    waiting = len(list_waiting(kit)) if kit.server else 0
    if not waiting:
        return ""
    fault = _read_notes(kit.root).fault
    return f"{waiting} of your runs wait for the course's server{f': {fault}' if fault else ''}; they are safe here"


def name_experiment(workshop: str, group: str) -> str:
    """A group's own experiment on the server."""
    return f"{EXPERIMENT} {workshop} {group}"


class _Server:
    """MLflow's REST interface, as far as a copy needs it, for one account."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.address = kit, kit.server.rstrip("/")
        try:
            password = (kit.root / PASSWORD_FILE).read_text(encoding="ascii").strip()
        except OSError as error:
            raise LabError(f"{PASSWORD_FILE} is missing", hint="ask the instructor for it") from error
        self.sign = "Basic " + base64.b64encode(f"{kit.group}:{password}".encode()).decode("ascii")
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the server is the course's own
        self.experiment = self._find_experiment()

    def copy(self, run: Run) -> None:
        """The whole run; what an earlier try has brought is found, and only completed."""
        rows = _read_run(self.kit.root, run.run_id)
        known = self._post(
            "runs/search", experiment_ids=[self.experiment], filter=f"tags.`{RUN_TAG}` = '{run.run_id}'", max_results=1
        ).get("runs", [])
        if known:
            there = known[0]["info"]["run_id"]
        else:
            named = {"run_name": run.name, "start_time": run.started_ms}
            tags = [{"key": RUN_TAG, "value": run.run_id}]
            made = self._post("runs/create", experiment_id=self.experiment, tags=tags, **named)
            there = made["run"]["info"]["run_id"]
        for kind, size in _AT_ONCE.items():
            for part in _divide(rows[kind], size):
                self._post("runs/log-batch", run_id=there, **{kind: part})
        for path in sorted(path for path in run.artifacts.rglob("*") if path.is_file()):
            name = quote(path.relative_to(run.artifacts).as_posix())
            place = f"{self.experiment}/{there}/artifacts/{name}"
            self._call("PUT", f"/api/2.0/mlflow-artifacts/artifacts/{place}", path.read_bytes())
        self._post("runs/update", run_id=there, status=run.status, end_time=run.ended_ms, run_name=run.name)

    def _find_experiment(self) -> str:
        """The group's experiment: it belongs to whoever makes it, and nobody else writes there."""
        name = name_experiment(self.kit.workshop, self.kit.group)
        try:
            found = self._call("GET", f"/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(name)}")
            return str(found["experiment"]["experiment_id"])
        except _MissingError:
            return str(self._post("experiments/create", name=name)["experiment_id"])

    def _post(self, method: str, **document: Any) -> dict[str, Any]:
        return self._call("POST", f"/api/2.0/mlflow/{method}", json.dumps(document).encode())

    def _call(self, verb: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        kind = "application/octet-stream" if verb == "PUT" else "application/json"
        headers = {"Authorization": self.sign, "Content-Type": kind}
        request = urllib.request.Request(self.address + path, body, headers, method=verb)
        try:
            with self.opener.open(request, timeout=_TIMEOUT_S) as answer:
                return dict(json.loads(answer.read() or b"{}"))
        except urllib.error.HTTPError as error:
            with error:
                raise _explain(error.code, error.read(2000).decode("utf-8", "replace"), self.kit) from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise LabError(f"the course's server {self.address} does not answer: {reason}") from error


class _MissingError(LabError):
    """The server has no such thing."""


def _explain(code: int, said: str, kit: Kit) -> LabError:
    if code == 404 or "RESOURCE_DOES_NOT_EXIST" in said:
        return _MissingError(f"the course's server has no such thing: {said[:200]}")
    if "No space left" in said or "could not extend" in said:
        return LabError("the disk of the course's server is full", hint=_HINTS[507])
    if code == 401:
        return LabError(f"the course's server does not know the password of {kit.group}", hint=_HINTS[401])
    return LabError(f"the course's server says {code}: {said[:200]}", hint=_HINTS.get(code))


def _read_run(root: Path, run_id: str) -> dict[str, list[dict[str, Any]]]:
    """What MLflow's tables hold of a run, as its interface takes it."""
    with open_database(root / DATABASE) as database:
        params = database.execute("SELECT key, value FROM params WHERE run_uuid = ?", (run_id,)).fetchall()
        tags = database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,)).fetchall()
        asked = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY step, timestamp"
        points = database.execute(asked, (run_id,)).fetchall()
    metrics = [
        {"key": key, "value": _spell(value, nothing), "timestamp": stamp, "step": step}
        for key, value, stamp, step, nothing in points
    ]
    pairs = {"params": params, "tags": tags}
    return {"metrics": metrics, **{kind: [{"key": k, "value": v} for k, v in found] for kind, found in pairs.items()}}


def _spell(value: float, nothing: bool) -> float | str:
    """No number and infinity, as MLflow's interface writes them."""
    if nothing:
        return "NaN"
    return value if abs(value) < _LARGEST else ("Infinity" if value > 0 else "-Infinity")


def _divide(rows: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


def _mark(run: Run) -> str:
    return f"{run.status} {run.ended_ms}"


def _read_notes(root: Path) -> _Notes:
    try:
        return _Notes(**json.loads((root / _SENT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return _Notes()


def _write_notes(root: Path, notes: _Notes) -> None:
    with suppress(OSError):  # a full disk: the runs are sent once more, and found there
        write_whole(root / _SENT, to_json(vars(notes)))


def main() -> None:
    """Send what waits; the last words are in the log."""
    result = send_runs(find_kit())
    print(f"{result.sent} sent, {result.waiting} wait. {result.fault}")


if __name__ == "__main__":
    main()
