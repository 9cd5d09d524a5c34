"""Laptops that are really there: each an OpenSSH server of its own on an address of the loopback network.

Every laptop has its own account, home, host key and port, and can be off, frozen, full or cut as a real one.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock

SSHD = "/usr/sbin/sshd"
_FULL = "2m"  # the disk of a full laptop
_ACCOUNTS = FileLock(Path(tempfile.gettempdir()) / "lab-laptops.lock")  # one process at a time may make them


def why_not() -> str:
    """Why no laptop can be played here; empty where one can."""
    missing = [name for name in (SSHD, "ssh", "ssh-keygen", "rsync", "useradd") if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}: apt install openssh-server rsync"
    return "" if os.name != "nt" and os.geteuid() == 0 else "only root can play other people's laptops"


@dataclass
class Laptop:
    """One sshd. `number` gives its address: 127.0.0.<number + 10>."""

    number: int
    folder: Path  # its settings; not its home
    user: str
    home: Path
    host: str
    port: int = 0
    process: subprocess.Popen[bytes] | None = None
    mounted: bool = False

    def start(self, extra: str = "") -> None:
        """Switch it on with some more settings, and wait until it answers."""
        config = self.folder / "sshd_config"
        config.write_text(
            f"{extra}ListenAddress {self.host}\nPort {self.port}\nHostKey {self.folder}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {self.folder}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            f"AllowUsers {self.user}\nPermitRootLogin no\nMaxStartups 100\n",
            encoding="utf-8",
        )
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", config], stdin=subprocess.DEVNULL, stderr=log)
        while self.process.poll() is None:
            with suppress(OSError), socket.create_connection((self.host, self.port), timeout=5) as heard:
                assert heard.recv(3) == b"SSH"
                return
            threading.Event().wait(0.01)
        raise AssertionError((self.folder / "log").read_text(encoding="utf-8"))

    def stop(self) -> None:
        """Switch it off, with whoever is connected."""
        if self.process is not None:
            self.cut()
            self.process.kill()
            self.process.wait()
            self.process = None

    def cut(self) -> None:
        """Pull the cable: whoever is connected is no more; new connections are taken."""
        if self.process is not None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.Error):
                    if child.name() == "sshd":  # what it has started learns of it as on a real laptop
                        child.kill()

    def freeze(self) -> None:
        """Close the lid: connections are still taken by the system, and nobody answers."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """Open the lid."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)

    def fill(self) -> None:
        """A disk on which nothing of a kit's size fits."""
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_FULL}", "tmpfs", self.home], check=True)
        self.mounted = True
        shutil.chown(self.home, self.user)
        (self.home / "film.mp4").write_bytes(b"x" * 2_080_000)

    def empty(self) -> None:
        """Somebody has tidied up there."""
        (self.home / "film.mp4").unlink()

    def unmount(self) -> None:
        """Its own disk again, if it had another one."""
        if self.mounted:
            subprocess.run(["umount", "-l", self.home], check=True)
            self.mounted = False

    def new_host_key(self) -> None:
        """As after it was set up anew. It is switched off and on."""
        self.stop()
        (self.folder / "host_key").unlink(missing_ok=True)
        (self.folder / "host_key.pub").unlink(missing_ok=True)
        make_key(self.folder / "host_key")
        self.start()

    def kit(self) -> Path:
        """Where the inventory of the tests puts the kit."""
        return self.home / "kits" / "mine"

    def give(self, path: Path) -> None:
        """A file or folder that the account has made."""
        for one in (path, *(path.rglob("*") if path.is_dir() else ())):
            shutil.chown(one, self.user, self.user)

    def tidy(self) -> None:
        self.stop()
        self.unmount()
        with _ACCOUNTS:
            subprocess.run(["userdel", "-f", self.user], check=False, capture_output=True)


def make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tests", "-f", path], check=True)


@dataclass
class Room:
    """Laptops, the instructor's key, and the inventory of them."""

    folder: Path
    laptops: list[Laptop] = field(default_factory=list)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory.yaml"

    def add(self) -> Laptop:
        """One more laptop, switched on."""
        number = len(self.laptops) + 1
        user, home = f"lab{os.getpid() % 100_000}x{number}", self.folder / f"home-{number}"
        with _ACCOUNTS:
            subprocess.run(["useradd", "-p", "*", "-M", "-d", home, "-s", "/bin/sh", user], check=True)
        folder = self.folder / f"laptop-{number}"
        folder.mkdir()
        home.mkdir()
        shutil.chown(home, user, user)
        make_key(folder / "host_key")
        shutil.copyfile(self.folder / "key.pub", folder / "authorized_keys")
        laptop = Laptop(number, folder, user, home, f"127.0.0.{number + 10}")
        laptop.port = find_port(laptop.host)
        self.laptops.append(laptop)
        laptop.start()
        return laptop

    def write(self, groups: dict[int, str], **more: str) -> Path:
        """The inventory: the laptops by number with their groups; the others are spare ones."""
        shared = {"path": "kits/mine", "key": str(self.folder / "key"), **more}
        lines = ["defaults:", *(f"  {key}: {value}" for key, value in shared.items()), "laptops:"]
        for laptop in self.laptops:
            lines.append(
                f"  - {{name: laptop-{laptop.number}, host: {laptop.host}, port: {laptop.port}, user: {laptop.user}"
            )
            group = groups.get(laptop.number)
            lines[-1] += f", group: {group}}}" if group else "}"
        self.inventory.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.pin()
        return self.inventory

    def pin(self) -> None:
        """The host keys as they are now, without asking anybody."""
        lines = [
            f"[{laptop.host}]:{laptop.port} {(laptop.folder / 'host_key.pub').read_text(encoding='utf-8').strip()}"
            for laptop in self.laptops
        ]
        (self.folder / "known_hosts").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def tidy(self) -> None:
        for laptop in self.laptops:
            laptop.tidy()
        shutil.rmtree(self.folder, ignore_errors=True)


def find_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def make_room(count: int) -> Room:
    """A room with so many laptops, all switched on, in a folder that other accounts may enter; `tidy` removes it."""
    folder = Path(tempfile.mkdtemp(prefix="lab-laptops-"))
    folder.chmod(0o711)
    Path("/run/sshd").mkdir(exist_ok=True)
    make_key(folder / "key")
    room = Room(folder)
    try:
        for _ in range(count):
            room.add()
    except BaseException:
        room.tidy()
        raise
    return room
