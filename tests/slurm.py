"""A Slurm that is really there: one controller, one node, munge, each with its own folder, key and ports.

    cluster = make_cluster()          # idle when it returns; `tidy` ends it
    cluster.environment               # what a shell needs for sbatch and squeue to reach it

It needs Debian's packages slurm-wlm and munge, and root, as CI has.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from tests.instructor.deliver.laptops import find_port

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue")
_IDLE_S = 60


def why_no_slurm() -> str:
    """Why no Slurm can be run here; empty where one can."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"needs {', '.join(missing)}: apt install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "only root can start a Slurm for several accounts"


@dataclass
class Cluster:
    """One node called n1, in the partitions `short` (5 minutes at most) and `closed` (which is down)."""

    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {"SLURM_CONF": str(self.folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        done = subprocess.run(command, env=os.environ | self.environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self) -> None:
        (self.folder / "slurm.conf").write_text(self._settings(), encoding="utf-8")
        (self.folder / "gres.conf").write_text("Name=gpu File=/dev/null,/dev/zero\n", encoding="utf-8")
        self._start_munge()
        with (self.folder / "log").open("ab") as log:
            for program in (["slurmctld", "-D"], ["slurmd", "-D", "-N", "n1"]):
                self.processes.append(
                    subprocess.Popen(program, env=os.environ | self.environment, stdout=log, stderr=log)
                )
        for _ in range(_IDLE_S * 10):
            done = subprocess.run(
                ["sinfo", "-h", "-p", "short", "-o", "%t"], env=os.environ | self.environment, capture_output=True
            )
            if done.stdout.strip() == b"idle":
                return
            threading.Event().wait(0.1)
        raise AssertionError((self.folder / "log").read_text(encoding="utf-8"))

    def _start_munge(self) -> None:
        place = self.folder / "munge"
        place.mkdir(mode=0o755)
        (place / "key").write_bytes(os.urandom(128))
        (place / "key").chmod(0o600)
        account = pwd.getpwnam("munge")
        for path in (place, place / "key"):
            os.chown(path, account.pw_uid, account.pw_gid)
        files = [f"--{name}={place / name}" for name in ("key-file", "pid-file", "log-file", "seed-file")]
        files = [option.replace("/key-file", "/key") for option in files]
        munged = ["munged", "--foreground", "--force", f"--socket={place}/socket", *files]
        self.processes.append(
            subprocess.Popen(munged, user="munge", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        )

    def _settings(self) -> str:
        ports = [find_port("127.0.0.1") for _ in range(2)]
        lines = {
            "ClusterName": "tests", "SlurmctldHost": f"{socket.gethostname().split('.')[0]}(127.0.0.1)",
            "SlurmUser": "root", "SlurmdUser": "root", "SlurmctldPort": ports[0], "SlurmdPort": ports[1],
            "AuthType": "auth/munge", "AuthInfo": f"socket={self.folder}/munge/socket,cred_expire=5",
            "CredType": "cred/munge", "StateSaveLocation": f"{self.folder}/state",
            "SlurmdSpoolDir": f"{self.folder}/spool",
            "SlurmctldPidFile": f"{self.folder}/slurmctld.pid", "SlurmdPidFile": f"{self.folder}/slurmd.pid",
            "ProctrackType": "proctrack/linuxproc", "TaskPlugin": "task/none", "MpiDefault": "none",
            "JobAcctGatherType": "jobacct_gather/none", "AccountingStorageType": "accounting_storage/none",
            "SelectType": "select/cons_tres", "SelectTypeParameters": "CR_CPU", "GresTypes": "gpu",
            "ReturnToService": 2, "KillWait": 30, "SchedulerParameters": "sched_interval=1,batch_sched_delay=0",
            "MessageTimeout": 60, "SlurmdTimeout": 300, "CommunicationParameters": "",
        }  # fmt: skip
        text = "".join(f"{key}={value}\n" for key, value in lines.items() if value != "")
        node = f"NodeName=n1 NodeHostname={socket.gethostname().split('.')[0]} NodeAddr=127.0.0.1 Port={ports[1]}"
        return (
            f"{text}{node} CPUs={os.cpu_count()} Gres=gpu:2 State=UNKNOWN\n"
            "PartitionName=short Nodes=n1 Default=YES MaxTime=5 State=UP\n"
            "PartitionName=closed Nodes=n1 State=DOWN\n"
        )

    def tidy(self) -> None:
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def make_cluster() -> Cluster:
    """A Slurm with an idle node, in a folder that every account may read."""
    folder = Path(tempfile.mkdtemp(prefix="lab-slurm-"))
    folder.chmod(0o755)
    cluster = Cluster(folder)
    try:
        for name in ("state", "spool"):
            (folder / name).mkdir()
        cluster.start()
    except BaseException:
        cluster.tidy()
        raise
    return cluster
