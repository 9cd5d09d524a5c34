"""servers.yaml: every mistake is named by its line, with what was perhaps meant."""

from pathlib import Path

import pytest

from lab_code.errors import LabError
from lab_code.jobs.servers import EXAMPLE, KEYS, find_server, read_servers_file


def write(root: Path, text: str) -> Path:
    (root / "servers.yaml").write_text(text, encoding="utf-8")
    return root


def test_the_example_can_be_read_and_names_every_key() -> None:
    servers = read_servers_file(EXAMPLE)
    assert list(servers) == ["gpu1", "cluster"]
    assert servers["cluster"].time_limit == "01:00:00" and servers["cluster"].setup == ("module load python/3.12",)
    assert not [key for key in KEYS if f"{key}:" not in EXAMPLE.read_text(encoding="utf-8")]


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("servers:\n  gpu1: {host: a}\n", "there is no server 'gpu'", "did you mean 'gpu1'"),
        ("servers:\n  gpu1: {host: a}\n  far: {host: b}\n", "there is no server 'gpu'", "servers there: gpu1, far"),
        ("server:\n  gpu: {host: a}\n", "line 1: there is no key 'server'", "did you mean 'servers'"),
        ("", "names no server", "write them below"),
        ("servers:\n", "names no server", "write them below"),
        ("servers: [a]\n", "names no server", "write them below"),
        ("servers:\n  gpu:\n    hots: a\n", "line 3: there is no key 'hots'", "did you mean 'host'"),
        ("servers:\n  gpu:\n    user: a\n", "line 3: server 'gpu' has no host", "host: …"),
        ("servers:\n  gpu: 192.0.2.1\n", "line 2: server 'gpu' has no keys", "host: 192.0.2.20"),
        ("servers:\n  gpu:\n    host: a b\n", "line 3: host is 'a b'", "a name or an address"),
        ("servers:\n  gpu:\n    host: -oProxyCommand=x\n", "line 3: host is", "a name or an address"),
        ("servers:\n  gpu: {host: a, port: 99999}\n", "port is '99999'", "from 1 to 65535"),
        ("servers:\n  gpu: {host: a, port: 2_2}\n", "port is '2_2'", "from 1 to 65535"),
        ("servers:\n  gpu: {host: a, user: 'x y'}\n", "user is 'x y'", "your account there"),
        ("servers:\n  gpu: {host: a, folder: ../b}\n", "folder is '../b'", "without .."),
        ("servers:\n  gpu: {host: a, folder: 'a; rm b'}\n", "folder is 'a; rm b'", "without .."),
        ("servers:\n  gpu: {host: a, queue: slrum}\n", "queue is 'slrum'", "one of auto, slurm"),
        ("servers:\n  gpu: {host: a, gpus: two}\n", "gpus is 'two'", "from 0 to 64"),
        ("servers:\n  gpu: {host: a, memory: lots}\n", "memory is 'lots'", "such as 16G"),
        ("servers:\n  gpu: {host: a, time_limit: an hour}\n", "time_limit is 'an hour'", '"01:00:00"'),
        ("servers:\n  gpu: {host: a, requeue: perhaps}\n", "requeue is 'perhaps'", "true or false"),
        ("servers:\n  gpu: {host: a, setup: module load x}\n", "setup is 'module load x'", "a list of lines"),
        ("servers:\n  gpu: {host: a, host: b}\n", "the key 'host' is there twice", "remove one"),
        ("servers:\n  gpu: {host: a}\n  gpu: {host: b}\n", "the server 'gpu' is there twice", "remove one"),
        ("servers:\n  g/u: {host: a}\n", "a server is called 'g/u'", "letters, digits"),
        ("servers:\n  gpu: {host: a\n", "line 3", "undo the last edit"),
        ("servers:\n\tgpu: a\n", "line 2", "undo the last edit"),
        ("servers:\n  gpu: {hots: a, prot: 2}\n", "'hots'; line 2: there is no key 'prot'; line 2: ", "mean 'port'"),
        ("servers:\n  a: {host: b, port: x}\n  a: {host: b, x: 1}\n", "'x'; line 3: the server 'a' is", "keys of a"),
        ("servers:\n  a: {host: b, setup: &a [*a]}\n", "line 2: setup is a list", "a list of lines"),
        ("servers: &a\n  gpu: *a\n", "there is no key 'gpu'", "keys of a server"),
        ("servers:\n  gpu: {? [a] : b, host: c}\n", "there is no key", "keys of a server"),
        ("servers:\n  ? [a]\n  : {host: c}\n", "a server is called", "letters, digits"),
        ("? [a]\n: b\n", "there is no key", "servers"),
        ("servers:\n  gpu: {host: null}\n", "line 2: host is", "a name or an address"),
        ("servers:\n  gpu: {host: a, user: !!python/name:os.system ''}\n", "user is ''", "your account"),
        ("a: 1\n---\nb: 2\n", "line 2: but found another document", "undo the last edit"),
    ],
)
def test_a_mistake_is_named_by_its_line(tmp_path: Path, text: str, message: str, hint: str) -> None:
    with pytest.raises(LabError) as caught:
        find_server(write(tmp_path, text), "gpu")
    assert message in caught.value.message and hint in (caught.value.hint or "")


def test_without_the_file_the_example_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="is missing") as caught:
        find_server(tmp_path, "gpu")
    assert "servers.example.yaml" in (caught.value.hint or "")


def test_files_are_found_beside_servers_yaml(tmp_path: Path) -> None:
    server = find_server(write(tmp_path, "servers:\n  gpu: {host: a, key: keys/id, folder: ~/kit}\n"), "gpu")
    assert server.key == str(tmp_path / "keys/id") and server.folder == "kit"
