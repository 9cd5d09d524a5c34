"""The system's OpenSSH, as `lab` and `instructor` use it: its settings, and what its complaints mean.

    with connect(server) as line:
        answer = line.ask("look", folder="lab-kit")     # runs `far.py` there, whatever is installed
        line.rsync([...])

Nothing is ever asked: who has no key is told so. All that is done with a server goes through one connection, where the
system's OpenSSH can share one (not on Windows).
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lab_code.errors import LabError
from lab_code.jobs.servers import SERVERS, Server
from lab_code.tracking.interrupts import end_tidily

CONNECT_S = 10  # to answer at all
_ALIVE_S, _MISSED = 5, 3  # a connection in which nothing is heard for so long is lost
_CUT = (-15, -9, 12, 20, 30, 35, 255)  # how rsync ends where the connection, or it itself, was ended
LOST = 255  # how ssh ends where the connection was none
SETUP_FAILED = 96  # how a shell there ends after a line of `setup` that has failed
MARK = "\x1elab "  # before every line that far.py means for us
_OURS = r"\[(?:receiver|generator)\].*: ((?:No space left|Disk quota|Permission denied|Read-only).*)$"
_COPY = ["-a", "--delete", "--partial-dir=.part", "--relative", "--stats"]
_FAR = Path(__file__).with_name("far.py")

Reasons = Sequence[tuple[str, str, str]]  # what is in a complaint -> what it means, and what to do

REASONS: Reasons = (
    ("Could not resolve|Name or service not known|nodename nor servname", "nobody knows the name {host}", "check host"),
    ("Connection refused", "nobody listens at {host}, port {port}", "is it on, and sshd running?"),
    ("No space left|Disk quota", "its disk is full", "free some room there, then again"),
    ("timed out|[Tt]imeout|not responding", "it does not answer", "is it on, awake, and in this network?"),
    ("No route|unreachable|Host is down", "no way leads to {host}", "is it on, and in this network?"),
    ("Connection (reset|closed)|Broken pipe|closed by|unexpectedly closed|connection lost",
     "the connection was cut", "again: what has arrived is not sent twice"),
    ("Read-only file system", "its disk cannot be written to", "check that disk"),
    (r"rsync error: .*\(code (10|12|20|255)\)",  # its ssh was lost, or ended, and has said nothing of that
     "the connection was cut", "again: what has arrived is not sent twice"),
)  # fmt: skip

_OF_SERVERS: Reasons = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one that was known",
     "ask who runs it whether it was set up anew; only if so: ssh-keygen -R '{known}', then: ssh {address}"),
    ("No .* host key is known|Host key verification failed", "its host key is not known here",
     "log in by hand once, compare the fingerprint with what its pages say, and type yes: ssh {address}"),
    ("Permission denied \\(", "it does not let '{user}' in",
     f"check user and key in {SERVERS}, and that the public key stands there: ssh-copy-id {{address}}"),
    ("is your shell clean|protocol version mismatch", "its shell prints something at every login",
     "remove what ~/.bashrc prints there when nobody looks"),
    ("rsync: (command )?not found|rsync: No such file", "there is no rsync on it", "let rsync be installed there"),
    ("Permission denied|mkdir .* failed", "the folder {folder} cannot be written there", f"check folder in {SERVERS}"),
)  # fmt: skip


def ssh_settings(known_hosts: Path | str | None, control: Path | None) -> list[str]:
    """The options that make `ssh` ask nothing, believe nobody new, and notice a lost connection.

    `known_hosts` are the only host keys that count; None leaves those that this account knows.
    """
    own = {} if known_hosts is None else {
        "UserKnownHostsFile": f'"{known_hosts}"', "GlobalKnownHostsFile": "none",
    }  # fmt: skip
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        **own,
        "UpdateHostKeys": "no",
        "CheckHostIP": "no",
        "ConnectTimeout": str(CONNECT_S),
        "ServerAliveInterval": str(_ALIVE_S),
        "ServerAliveCountMax": str(_MISSED),
        "ControlMaster": "no",
        "ControlPath": str(control or "none"),
        "LogLevel": "ERROR",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


def find_reason(complaint: str, reasons: Reasons, names: Mapping[str, object]) -> LabError | None:
    """What ssh, or what runs through it, has complained about; None where nobody has foreseen it."""
    for pattern, meaning, fix in reasons:
        if re.search(pattern, complaint):
            return LabError(meaning.format(**names), hint=fix.format(**names))
    return None


class LostError(LabError):
    """The connection was lost, or was none; the same may work a minute later."""


class Line:
    """A server that can be talked to."""

    def __init__(self, server: Server, control: Path | None) -> None:
        self.server, self._control = server, control

    @property
    def ssh(self) -> list[str]:
        """`ssh` and everything before the host."""
        server, known = self.server, self.server.known_hosts
        options = ssh_settings(Path(known).absolute() if known else None, self._control)
        if server.key:
            options += ["-o", "IdentitiesOnly=yes", "-i", server.key]
        options += ["-p", str(server.port)] if server.port else []
        return ["ssh", *options, *(["-l", server.user] if server.user else [])]

    def start(self, command: str, **request: Any) -> subprocess.Popen[bytes]:
        """Begin a command of `far.py` there. The script travels with every call, so both sides speak the same."""
        program = f"{_FAR.read_text(encoding='utf-8')}\nmain({command!r}, {json.dumps(json.dumps(request))})\n"
        process = subprocess.Popen(
            [*self.ssh, "-T", self.server.host, self._shell(f"exec {shlex.quote(self.server.python)} -")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            start_new_session=os.name != "nt",  # Ctrl-C is for us: what happens there, somebody decides
        )  # fmt: skip
        assert process.stdin
        with suppress(OSError):  # whoever ends early has reasons, which it says itself
            process.stdin.write(program.encode("utf-8"))
            process.stdin.close()
        return process

    def listen(self, command: str, **request: Any) -> Iterator[Any]:
        """What a command of `far.py` says, as it comes. Raises `LabError`, as it was raised there."""
        with self.start(command, **request) as process:
            assert process.stdout and process.stderr
            try:
                for line in process.stdout:
                    text = line.decode("utf-8", "replace")
                    if text.startswith(MARK):
                        said = json.loads(text.removeprefix(MARK))
                        if "error" in said:
                            raise self.explain_far(said["error"], said["hint"])
                        yield said["value"]
                complaint = process.stderr.read().decode("utf-8", "replace")
                process.stderr.close()
                if process.wait():
                    raise self.explain(complaint, process.returncode)
            finally:
                process.kill()

    def ask(self, command: str, **request: Any) -> Any:
        """The one answer of a command of `far.py`."""
        answers = list(self.listen(command, **request))
        if len(answers) != 1:
            raise LabError(f"server '{self.server.name}' gave no answer", hint=f"try: ssh {self.server.address}")
        return answers[0]

    def rsync(self, arguments: Sequence[str], given: str = "") -> str:
        """Copy by rsync; `{there}:` in an argument is this server. Returns what it has printed."""
        if shutil.which("rsync") is None:
            hint = "install rsync (on Windows: work in WSL, which has it)"
            raise LabError("rsync is not installed here", hint=hint)
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        command = ["rsync", "-e", shlex.join(self.ssh), *(part.replace("{there}", host, 1) for part in arguments)]
        done = subprocess.run(command, input=given.encode(), capture_output=True, start_new_session=os.name != "nt")
        complaint = done.stderr.decode("utf-8", "replace")
        if done.returncode:
            found = None if arguments[-1].startswith("{there}") else _explain_here(complaint)
            raise found or self.explain(complaint, LOST if done.returncode in _CUT else done.returncode)
        return done.stdout.decode("utf-8", "replace")

    def copy(self, places: Sequence[str], target: str, more: Sequence[str] = ()) -> int:
        """Bring a folder there up to date with files of ours, by their paths behind `/./`; returns the bytes sent."""
        said = self.rsync([*_COPY, *more, *places, f"{{there}}:{target}"])
        found = re.search(r"Total bytes sent: ([\d.,]+)", said)
        return int(re.sub(r"\D", "", found[1])) if found else 0

    def explain_far(self, message: str, hint: str) -> LabError:
        """An error of the far side, which reads like our own."""
        return LabError(f"server '{self.server.name}': {message}", hint=hint or None)

    def explain(self, complaint: str, code: int) -> LabError:
        """What a command has complained about that ended with this code."""
        server = self.server
        known = f"[{server.host}]:{server.port}" if server.port not in (0, 22) else server.host
        names = {
            "host": server.host, "port": server.port or 22, "user": server.user or "you", "folder": server.folder,
            "known": known, "address": server.address,
        }  # fmt: skip
        where = f"server '{server.name}'"
        if code == SETUP_FAILED:
            return LabError(
                f"{where}: a line of setup has failed ({_last(complaint)})", hint=f"check setup in {SERVERS}"
            )
        if code == 127 or "No module named" in complaint or "future feature annotations" in complaint:
            return LabError(
                f"{where}: there is no usable '{server.python}' on it ({_last(complaint)})",
                hint=f"name a Python 3.11 or newer in {SERVERS} (python: python3.12), or load one (setup: …)",
            )
        found = find_reason(complaint, (*_OF_SERVERS, *REASONS), names)
        lost = code == LOST and (found is None or find_reason(complaint, _OF_SERVERS, names) is None)
        kind = LostError if lost else LabError
        if found is None and lost and not complaint.strip():  # somebody has ended ssh or rsync here
            return kind(f"{where}: the connection was cut", hint="again: what has arrived is not sent twice")
        if found is None:
            return kind(f"{where}: {_last(complaint)}", hint=f"try: ssh {server.address}")
        return kind(f"{where}: {found.message}", hint=found.hint)

    def _shell(self, command: str) -> str:
        """A command after the lines of `setup`; only a login shell knows `module`."""
        script = "\n".join([*(f"{line} || exit {SETUP_FAILED}" for line in self.server.setup), command])
        return f"exec bash -lc {shlex.quote(script)}" if self.server.setup else f"exec sh -c {shlex.quote(script)}"


_OPEN: dict[Server, tuple[Line, "subprocess.Popen[bytes]"]] = {}  # whom this process is connected to


@contextmanager
def connect(server: Server) -> Iterator[Line]:
    """Talk to a server. Within a connection that is still there, that one is used again: to connect takes a while.

    Raises `LabError` where there is no way to it.
    """
    before = _OPEN.get(server)
    if before is not None and before[1].poll() is None:
        yield before[0]
        return
    if shutil.which("ssh") is None:
        raise LabError("ssh is not installed here", hint="install OpenSSH's client")
    if server.key and not Path(server.key).is_file():
        raise LabError(f"there is no key {server.key}", hint=f"check key of '{server.name}' in {SERVERS}")
    if os.name == "nt":
        yield Line(server, None)
        return
    with end_tidily(), tempfile.TemporaryDirectory(prefix="lab-ssh-", ignore_cleanup_errors=True) as folder:
        line = Line(server, Path(folder) / "s")
        master = _share(line)
        _OPEN[server] = line, master
        try:
            yield line
        finally:
            if _OPEN.get(server) == (line, master):
                del _OPEN[server]
            assert master.stdin
            with suppress(OSError):
                master.stdin.close()
            master.terminate()
            master.wait()


def _share(line: Line) -> subprocess.Popen[bytes]:
    """The one connection that all commands use. It reads from this process, and so ends with it, however that ends."""
    ssh, *options = line.ssh
    first = ["-o", "ControlMaster=yes", "-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo up"]
    master = subprocess.Popen(
        [ssh, "-T", *first, *options, line.server.host, "exec cat"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    assert master.stdout and master.stderr
    with master.stdout, master.stderr:
        if not master.stdout.readline():
            complaint = master.stderr.read().decode("utf-8", "replace")
            assert master.stdin
            with suppress(OSError):
                master.stdin.close()
            master.wait()
            raise line.explain(complaint, LOST)
    return master


def _explain_here(complaint: str) -> LabError | None:
    """What hinders rsync on this side, where files are fetched."""
    found = re.search(_OURS, complaint, re.MULTILINE)
    if found is None:
        return None
    full = found[1].startswith(("No space", "Disk quota"))
    hint = "free some room here, then again" if full else "check the rights of the kit's folder, then again"
    return LabError(f"what comes cannot be written here: {found[1]}", hint=f"{hint}: what has arrived is kept")


def _last(complaint: str) -> str:
    lines = [text.strip() for text in complaint.splitlines() if text.strip()]
    return f"it said: {lines[-1]}" if lines else "it said nothing"
