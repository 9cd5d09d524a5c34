"""The handbook of the GPU server: every command in it is typed, on a server with a real Slurm, where it can be."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.conftest import PROJECT
from tests.far_server import FarServer, make_far_server, why_no_server

# What cannot be typed here, and what holds it elsewhere.
_NOT_HERE = {
    "./lab": "tests/lab_code/jobs/test_far_server.py",
    "ssh-copy-id": "asks for a password; the tests put keys where it would",
    "ssh lab@": "the login itself; every other line goes through one",
    "ssh-keygen": "asks where to; the tests make keys with it",
    "nvidia-smi": "there is no GPU here",
    "module": "there are no modules here; a line under setup: tests/lab_code/jobs/test_far_server.py",
    "quota": "these disks have none",
}
pytestmark = pytest.mark.skipif(
    bool(why_no_server(slurm=True)), reason=why_no_server(slurm=True) or "a server can be played here"
)


def read_commands(prompt: str) -> list[str]:
    text = (PROJECT / "docs" / "gpu-server.md").read_text(encoding="utf-8")
    return [re.split(r"\s+# ", line)[0] for line in re.findall(rf"^    {prompt}\$ (.+)$", text, re.MULTILINE)]


@pytest.fixture(scope="module")
def server() -> Iterator[FarServer]:
    made = make_far_server(slurm=True)
    yield made
    made.tidy()


def test_every_command_for_the_server_works_there(server: FarServer) -> None:
    if shutil.which("tmux") is None:
        pytest.skip("needs tmux: apt install tmux")
    said = {}
    for command in read_commands("gpu1"):
        if not command.startswith(tuple(_NOT_HERE)):
            ssh = [
                "ssh",
                "-F",
                "none",
                "-i",
                server.folder / "key",
                "-o",
                f"UserKnownHostsFile={server.folder}/known_hosts",
            ]
            where = ["-p", str(server.box.port), f"root@{server.box.host}"]
            done = subprocess.run(
                [*ssh, *where, f"cd {server.home}; {command}"], capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, f"{command}: {done.stderr}"
            said[command.split()[0]] = done.stdout
    assert "short" in said["scontrol"] and "Submitted batch job" in said["sbatch"]


def test_what_is_typed_elsewhere_is_named_and_there() -> None:
    commands = read_commands("gpu1") + read_commands("laptop")
    assert not [begin for begin in _NOT_HERE if not any(command.startswith(begin) for command in commands)]
    assert all(command.startswith(tuple(_NOT_HERE)) for command in read_commands("laptop"))
    for why in _NOT_HERE.values():
        assert all((PROJECT / path).exists() for path in re.findall(r"tests/[\w/]+\.py", why))


def test_what_lab_says_in_the_table_is_what_it_says() -> None:
    text = (PROJECT / "docs" / "gpu-server.md").read_text(encoding="utf-8")
    files = [*(PROJECT / "lab_code" / "jobs").glob("*.py"), PROJECT / "lab_code" / "cli" / "remote.py"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    rows = [row.split("|")[1].strip() for row in text.splitlines() if row.startswith("| ")][1:]
    for row in rows:
        for part in re.split(r"…|, …|'[^']+'|, ", row):
            assert part.strip(" .") in code, part
