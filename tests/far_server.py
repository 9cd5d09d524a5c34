"""A server that runs can be sent to: a real OpenSSH on the loopback network, with or without a real Slurm behind it.

Its account is root, which alone may use the environment of the tests; all it writes goes into a folder of theirs.
"""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.instructor.deliver.laptops import Laptop, find_port, make_key
from tests.instructor.deliver.laptops import why_not as why_no_laptop
from tests.slurm import Cluster, make_cluster, why_no_slurm

ENVIRONMENT = Path(sys.prefix)


def why_no_server(*, slurm: bool = False) -> str:
    """Why no server can be played here; empty where one can."""
    return why_no_laptop() or (why_no_slurm() if slurm else "")


@dataclass
class FarServer:
    """An sshd and perhaps a Slurm; `entry` is what servers.yaml says of it."""

    folder: Path
    box: Laptop
    cluster: Cluster | None
    environment: Path = ENVIRONMENT

    @property
    def home(self) -> Path:
        return self.box.home

    def entry(self, **changes: object) -> dict[str, object]:
        """Its keys in servers.yaml, with some of them changed; None leaves one out."""
        keys: dict[str, object] = {
            "host": self.box.host, "port": self.box.port, "user": "root", "key": str(self.folder / "key"),
            "known_hosts": str(self.folder / "known_hosts"), "environment": str(self.environment),
            "folder": str(self.home / "lab-kit"),
        }  # fmt: skip
        return {key: value for key, value in {**keys, **changes}.items() if value is not None}

    def start(self, **environment: str) -> None:
        """Switch it on; what a shell there finds in its environment."""
        slurm = self.cluster.environment if self.cluster else {}
        pairs = " ".join(f"{key}={value}" for key, value in {**slurm, **environment}.items())
        self.box.start(f"PermitRootLogin prohibit-password\n{f'SetEnv {pairs}' if pairs else ''}\n")

    def pin(self) -> None:
        """Its host key is known from now on."""
        key = (self.box.folder / "host_key.pub").read_text(encoding="utf-8").strip()
        (self.folder / "known_hosts").write_text(f"[{self.box.host}]:{self.box.port} {key}\n", encoding="utf-8")

    def tidy(self) -> None:
        self.box.stop()
        self.box.unmount()
        if self.cluster:
            self.cluster.tidy()
        shutil.rmtree(self.folder, ignore_errors=True)


def make_far_server(*, slurm: bool) -> FarServer:
    """A server that is switched on, and whose host key is known; `tidy` ends it."""
    folder = Path(tempfile.mkdtemp(prefix="lab-server-"))
    Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("box", "home"):
        (folder / name).mkdir()
    make_key(folder / "key")
    make_key(folder / "box" / "host_key")
    shutil.copyfile(folder / "key.pub", folder / "box" / "authorized_keys")
    box = Laptop(0, folder / "box", "root", folder / "home", "127.0.0.9")
    box.port = find_port(box.host)
    server = FarServer(folder, box, None)
    try:
        server.cluster = make_cluster() if slurm else None
        server.start()
        server.pin()
    except BaseException:
        server.tidy()
        raise
    return server
