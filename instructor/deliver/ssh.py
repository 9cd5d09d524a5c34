"""The system's OpenSSH: how a laptop is called, which host keys count, and what its complaints mean.

Host keys are pinned in a file beside the inventory, and nothing else counts: not what this account has met before, and
no key that is new. `pin` fetches them once, in a network that one trusts, and shows the fingerprints to compare.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from instructor.deliver.inventory import Inventory, Laptop
from instructor.deliver.supervise import Ended, Outcome, Terms, everywhere, run, running
from lab_code.errors import LabError
from lab_code.files import write_whole
from lab_code.jobs.ssh import CONNECT_S, LOST, REASONS, find_reason, ssh_settings

_PIN = "instructor deliver pin"
_REASONS = (  # what is in OpenSSH's complaint -> what it means, and what to do
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "its host key is not the one that was pinned",
     f"is it another laptop, or set up anew? if you know why: {_PIN} --replace {{name}}"),
    ("No .* host key is known|Host key verification failed", "its host key is not pinned yet", _PIN),
    ("mkdir: ", "the kit's folder cannot be made there", "check path in the inventory"),
    ("Permission denied \\(", "it does not let '{user}' in",
     "check user and key in the inventory, and that the public key stands in that account's authorized_keys"),
    *REASONS,
)  # fmt: skip


def ssh_options(laptop: Laptop, inventory: Inventory, control: Path | None = None) -> list[str]:
    """`ssh` and everything before the host; nothing is ever asked. `control` is the socket of a shared connection."""
    options = ssh_settings(inventory.known_hosts.absolute(), control)
    key = ["-o", "IdentitiesOnly=yes", "-i", str(laptop.key)] if laptop.key else []
    return ["ssh", *options, *key, "-p", str(laptop.port), "-l", laptop.user]


@asynccontextmanager
async def share_connection(laptop: Laptop, inventory: Inventory) -> AsyncIterator[Path | None]:
    """One connection for all that is done with a laptop: half of the work of a small delivery is to connect.

    Yields its socket, or None on Windows, whose OpenSSH cannot. Raises `LabError` where there is no way to connect.
    """
    if os.name == "nt":
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="lab-ssh-", ignore_cleanup_errors=True) as folder:
        control = Path(folder) / "s"
        master = ["-N", "-o", "ControlMaster=yes", "-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo up"]
        ssh, *options = ssh_options(laptop, inventory, control)  # of an option that is there twice, the first counts
        async with running([ssh, *master, *options, laptop.host]) as process:
            assert process.stdout and process.stderr
            if not await process.stdout.readline():
                raise explain(laptop, (await process.stderr.read()).decode("utf-8", "replace"))
            yield control


async def call(
    laptop: Laptop,
    inventory: Inventory,
    command: str,
    given: bytes = b"",
    control: Path | None = None,
    most: int | None = None,
) -> Ended:
    """Run a command there. Raises `LabError` where the connection was none, was lost, or brings more than `most`."""
    ended = await run([*ssh_options(laptop, inventory, control), "-T", laptop.host, command], given, most)
    if ended.code == LOST:
        raise explain(laptop, ended.complaint)
    return ended


def explain(laptop: Laptop, complaint: str) -> LabError:
    """What ssh, or what runs through it, has complained about."""
    names = {"name": laptop.name, "user": laptop.user, "host": laptop.host, "port": laptop.port}
    complaint = complaint.strip() or "connection lost"  # what is cut from outside says nothing
    if found := find_reason(complaint, _REASONS, names):
        return found
    said = complaint.splitlines()[-1].strip()
    return LabError(f"it said: {said}", hint=f"ssh -p {laptop.port} {laptop.user}@{laptop.host}")


def check_programs() -> None:
    """Raise `LabError` where this machine has no OpenSSH."""
    missing = [name for name in ("ssh", "ssh-keyscan", "ssh-keygen") if shutil.which(name) is None]
    if missing:
        raise LabError(f"{', '.join(missing)} is not installed here", hint="install OpenSSH's client")


@dataclass
class Pins:
    """Host keys as known_hosts lines by laptop: new ones, those that were known, and those that have changed."""

    new: dict[str, list[str]] = field(default_factory=dict)
    known: list[str] = field(default_factory=list)
    changed: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, Outcome[list[str]]] = field(default_factory=dict)


async def plan_pins(laptops: Sequence[Laptop], inventory: Inventory) -> Pins:
    """Ask every laptop for its host keys, and compare with what is pinned."""
    pins, pinned = Pins(), read_pins(inventory.known_hosts)
    outcomes = await everywhere(laptops, _scan, Terms(limit_s=3 * CONNECT_S))
    for laptop, outcome in zip(laptops, outcomes, strict=True):
        lines, before = outcome.value or [], pinned.get(laptop.address, [])
        if not lines:
            pins.failed[laptop.name] = outcome
        elif not before:
            pins.new[laptop.name] = lines
        elif set(lines) & set(before):
            pins.known.append(laptop.name)
        else:
            pins.changed[laptop.name] = lines
    return pins


async def _scan(laptop: Laptop) -> list[str]:
    ended = await run(["ssh-keyscan", "-T", str(CONNECT_S), "-p", str(laptop.port), laptop.host])
    keys = [line.split(" ", 1)[1] for line in ended.out.decode("ascii", "replace").splitlines() if " " in line]
    lines = sorted(f"{laptop.address} {key}" for key in keys if not key.startswith("#"))
    if not lines:
        raise LabError("it does not answer", hint="is it on, in this network, and sshd running?")
    return lines


def read_pins(path: Path) -> dict[str, list[str]]:
    """The lines of a known_hosts file by address."""
    pinned: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        if line.strip() and not line.startswith("#"):
            pinned.setdefault(line.split(" ", 1)[0], []).append(line)
    return pinned


def apply_pins(path: Path, new: Mapping[str, Sequence[str]]) -> None:
    """Write the keys of some addresses in the place of those that were pinned."""
    pinned = {**read_pins(path), **new}
    lines = [line for address in sorted(pinned) for line in pinned[address]]
    write_whole(path, "# Host keys of the laptops; written by: instructor deliver pin\n" + "\n".join(lines) + "\n")


def fingerprint(line: str) -> str:
    """What the laptop itself shows as its key's fingerprint."""
    key = line.split(" ", 1)[1]
    shown = subprocess.run(["ssh-keygen", "-lf", "-"], input=key, capture_output=True, text=True)
    return " ".join(shown.stdout.split()[1:2]) or "?"
