"""Whether this laptop is ready for class: one line a check, and a fix under each that fails.

    for check in run_checks(kit): …       # each has a name, ok, found, fix

The light checks are here. Those that need torch or MLflow are in `lab_code/cli/trial.py`, and the command adds them.
"""

import os
import platform
import re
import shutil
import socket
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import metadata

import psutil

from lab_code.errors import LabError
from lab_code.files import sha256_file
from lab_code.workshop.kit import Kit
from lab_code.workshop.locks import open_with_answers, read_lock

# One lock that is the same in all kits; no question has an option 0, so these answers open nothing else.
TEST_LOCK, TEST_GROUP, TEST_STAGE, TEST_ANSWERS = "locked/doctor.lab", "any", "doctor", ["0", "0", "0"]
_ROOM_GB, _MEMORY_GB = 2.0, 2.0
_OLDEST_PYTHON = (3, 11)
_PACKAGES = (
    "torch",
    "torchvision",
    "mlflow",
    "hydra-core",
    "omegaconf",
    "jupyterlab",
    "cryptography",
    "numpy",
    "typer",
)
QUICK = ("disk", "memory", "writing", "clock")  # what `lab start` looks at each time, in milliseconds
_SETUP = "`./lab setup` (on Windows: lab setup), which makes or mends the environment"


@dataclass(frozen=True)
class Check:
    """What was looked at, whether it will do, what was found, and how to mend it (empty where it will do).

    `figures` are what was measured, for programs: `instructor rehearse` takes how fast a laptop trains from them.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    figures: dict[str, float] = field(default_factory=dict)


def run_checks(kit: Kit, names: Sequence[str] = ()) -> Iterator[Check]:
    """The light checks (or those that are named), in an order in which an early failure explains later ones."""
    for name, check in _CHECKS.items():
        if not names or name in names:
            yield guard(name, partial(check, kit))


def guard(name: str, check: Callable[[], tuple[bool, str, str]]) -> Check:
    """A check that fails in an unexpected way is a failed check, and the others go on."""
    try:
        ok, found, fix = check()
    except LabError as error:
        return Check(name, False, error.message, error.hint or "ask the instructor")
    except OSError as error:
        return Check(name, False, str(error), "check the disk's free space and the folder's rights")
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", _SETUP)
    return Check(name, ok, found, "" if ok else fix)


def _python(kit: Kit) -> tuple[bool, str, str]:
    found = f"{platform.python_version()} at {sys.executable}"
    return sys.version_info >= _OLDEST_PYTHON, found, f"install Python 3.11 or newer, then {_SETUP}"


def _packages(kit: Kit) -> tuple[bool, str, str]:
    pins = dict(re.findall(r"^([\w.-]+)==(\S+)$", (kit.root / "constraints.txt").read_text(encoding="utf-8"), re.M))
    pins = {name.lower(): version for name, version in pins.items()}
    wrong = []
    for name in _PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
        else:
            if version.split("+")[0] != pins.get(name, version):
                wrong.append(f"{name} {version} instead of {pins[name]}")
    return not wrong, "; ".join(wrong) or f"{len(_PACKAGES)} main packages as pinned", _SETUP


def _files(kit: Kit) -> tuple[bool, str, str]:
    missing = [name for name in kit.files if not (kit.root / name).is_file()]
    changed = [name for name in kit.files if name not in missing and sha256_file(kit.root / name) != kit.files[name]]
    if missing:
        return False, f"{len(missing)} files are missing: {', '.join(missing[:3])}", "copy the kit again"
    locks = [name for name in changed if name.startswith(("locked/", "data/"))]
    if locks:
        return False, f"damaged: {', '.join(locks[:3])}", "copy the kit again"
    found = f"{len(kit.files)} files" + (
        f", {len(changed)} of them changed by you: {', '.join(changed[:3])}" if changed else ""
    )
    return True, found, ""


def _disk(kit: Kit) -> tuple[bool, str, str]:
    free = shutil.disk_usage(kit.root).free / 1e9
    return free >= _ROOM_GB, f"{free:.1f} GB free", f"free some room: {_ROOM_GB:.0f} GB are enough"


def _memory(kit: Kit) -> tuple[bool, str, str]:
    free = psutil.virtual_memory().available / 1e9
    return free >= _MEMORY_GB, f"{free:.1f} GB available, {os.cpu_count()} cores", "close other programs"


def _writing(kit: Kit) -> tuple[bool, str, str]:
    try:
        with tempfile.NamedTemporaryFile(dir=kit.root) as file:
            file.write(b"x" * 1000)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return False, f"{kit.root} cannot be written to: {reason}", "copy the kit into a folder of your own"
    return True, "this folder can be written to", ""


def _accounts(kit: Kit) -> tuple[bool, str, str]:
    """Who else may read the runs, or change the code that runs here; it is said, and no reason to fail."""
    if os.name == "nt":
        return True, "who else can read this folder stands in its properties, under Security", ""
    mode = kit.root.stat().st_mode
    others = {0o022: "change", 0o055: "read"}
    may = next((word for bits, word in others.items() if mode & bits), None)
    if may is None:
        return True, "only this account can read this folder", ""
    return True, f'other accounts of this computer may {may} this folder; to stop that: chmod 700 "{kit.root}"', ""


def _clock(kit: Kit) -> tuple[bool, str, str]:
    built = datetime.fromtimestamp((kit.root / "kit.json").stat().st_mtime, UTC)
    now = datetime.now(UTC)
    return now >= built, f"{now:%Y-%m-%d %H:%M} UTC", "set the laptop's clock: it is earlier than this kit"


def _ports(kit: Kit) -> tuple[bool, str, str]:
    with socket.socket() as one, socket.socket() as two:
        for probe in (one, two):
            probe.bind(("127.0.0.1", 0))
            probe.listen()
        with socket.create_connection(one.getsockname(), timeout=3):
            return True, "two free ports that answer", "allow local connections in the firewall"


def _lock(kit: Kit) -> tuple[bool, str, str]:
    lock = read_lock(kit.root / TEST_LOCK, kit.workshop, TEST_GROUP, TEST_STAGE)
    started = datetime.now(UTC)
    files = open_with_answers(lock, TEST_ANSWERS, None)
    return (
        bool(files),
        f"a test lock opened in {(datetime.now(UTC) - started).total_seconds():.1f} s",
        "copy the kit again",
    )


def _browser(kit: Kit) -> tuple[bool, str, str]:
    try:
        return True, f"found ({webbrowser.get().__class__.__name__})", ""
    except webbrowser.Error:
        return False, "none found", "install one, or open the addresses that lab start prints on another screen"


_CHECKS: dict[str, Callable[[Kit], tuple[bool, str, str]]] = {
    "Python": _python,
    "packages": _packages,
    "kit files": _files,
    "disk": _disk,
    "memory": _memory,
    "writing": _writing,
    "accounts": _accounts,
    "clock": _clock,
    "ports": _ports,
    "locks": _lock,
    "browser": _browser,
}
