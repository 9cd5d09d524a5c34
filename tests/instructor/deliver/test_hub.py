"""JupyterHub: its folder, what a user's server does with a kit, and a hub that really runs with its proxy."""

import asyncio
import csv
import json
import os
import runpy
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from traitlets.config import Config

from instructor.cli.app import main
from instructor.deliver.hub import list_requirements, plan_hub
from tests.conftest import make_small_workshop
from tests.instructor.deliver import hubs
from tests.instructor.deliver.conftest import edit_kit, times, tree
from tests.instructor.deliver.hubs import Hub, Person, find_ports, run_hub

needs_hub = pytest.mark.skipif(bool(hubs.why_not()), reason=hubs.why_not() or "a hub can run here")
HUB_FILES = Path(plan_hub.__code__.co_filename).with_name("hub_files")


def describe(folder: Path, **hub: object) -> Path:
    """A workshop of two tiny kits, with these settings of its hub."""
    described = {"id": "tiny", "title": "Tiny", "seed": 1, "groups": ["group-1", "group-2"], "hub": hub}
    described["stages"] = [{"id": "1-x", "title": "A stage", "questions": 2}]
    path = folder / "workshop.yaml"
    path.write_text(yaml.safe_dump(described, sort_keys=False), encoding="utf-8")
    return path


def deliver_hub(tiny: Path, *argv: object) -> int:
    workshop = tiny.parent / "workshop.yaml"
    path = workshop if workshop.is_file() else describe(tiny.parent)
    return main([str(word) for word in ("deliver", "hub", *argv, "--workshop", path, "--build", tiny)])


def kits_of(hub: Path) -> dict[str, Path]:
    places = json.loads((hub / "hub.json").read_text(encoding="utf-8"))["kits"]
    return {group: hub / "kits" / place for group, place in places.items()}


def test_a_hub_is_shown_made_and_left_alone_the_second_time(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deliver_hub(tiny, "--dry-run") == 0 and not (tiny / "hub").exists()
    assert "12 to send" in (said := capsys.readouterr().out) and "14 files of the hub's own would be" in said
    assert deliver_hub(tiny) == 0
    before = times(tiny / "hub")
    assert deliver_hub(tiny) == 0 and times(tiny / "hub") == before
    assert "nothing written" in capsys.readouterr().out


def test_a_changed_file_of_a_kit_travels_to_the_hub_alone(tiny: Path) -> None:
    deliver_hub(tiny)
    before = times(tiny / "hub")
    edit_kit(tiny, **{"README.md": b"New.\n"})
    deliver_hub(tiny)
    changed = {Path(name).name for name, when in times(tiny / "hub").items() if before.get(name) != when}
    assert changed == {"README.md", "kit.json"}


def test_accounts_may_copy_their_kit_and_read_nothing_else(tiny: Path) -> None:
    deliver_hub(tiny)
    hub = tiny / "hub"
    assert (hub / "hub.json").stat().st_mode & 0o777 == 0o600 and (hub / "kits").stat().st_mode & 0o777 == 0o711
    for group, kit in kits_of(hub).items():
        assert kit.name.startswith(f"{group}-") and len(kit.name) > len(group) + 12
        assert not [path for path in kit.rglob("*") if not path.stat().st_mode & 0o004]
    passwords = (tiny / "vault" / "hub-passwords.csv").read_text(encoding="utf-8")
    known = [line.split(",")[1] for line in passwords.splitlines()[1:]]
    assert len(set(known)) == 2 and (tiny / "vault" / "hub-passwords.csv").stat().st_mode & 0o077 == 0
    assert not [name for name, (text, _) in tree(hub).items() if any(word.encode() in text for word in known)]


def a_file(tiny: Path) -> None:
    (tiny / "hub").write_text("x", encoding="utf-8")


def other_things(tiny: Path) -> None:
    (tiny / "hub").mkdir()
    (tiny / "hub" / "holiday.jpg").write_bytes(b"x")


def nothing(tiny: Path) -> None:
    """Only the settings are wrong."""


@pytest.mark.parametrize(
    ("hub", "happens", "said"),
    [
        ({"spawner": "systmd"}, nothing, "there is no spawner 'systmd'"),
        ({"spawner": ""}, nothing, "hub.spawner can be: simple, systemd, docker, kubernetes"),
        ({"spawner": "simple", "port": 65535}, nothing, "hub.port is out of range"),
        ({"port": 0}, nothing, "hub.port is out of range"),
        ({"memory_mb": 10}, nothing, "hub.memory_mb is out of range"),
        ({"cpus": 0}, nothing, "hub.cpus is out of range"),
        ({"at_once": 0}, nothing, "hub.at_once is out of range"),
        ({"authenticator": "import os; os"}, nothing, "hub.authenticator is out of range"),
        ({"users": {"ada": "group-9"}}, nothing, "ada belongs to 'group-9', which is no group"),
        ({"spawnr": "simple"}, nothing, "keys here: spawner, authenticator, users"),
        ({}, a_file, "is a file, not a folder"),
        ({}, other_things, "holds other things: holiday.jpg"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    tiny: Path, hub: dict, happens, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    describe(tiny.parent, **hub)
    happens(tiny)
    before = tree(tiny)
    assert deliver_hub(tiny) == 1
    assert said in capsys.readouterr().err
    assert {name: what for name, what in tree(tiny).items() if not name.startswith(("vault", ".lock"))} == before


def test_a_wrong_setting_is_named_with_its_line(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = describe(tiny.parent, port=8000, spawner="kubernets")
    line = path.read_text(encoding="utf-8").splitlines().index("  spawner: kubernets") + 1
    assert deliver_hub(tiny) == 1
    said = capsys.readouterr().err
    assert f"workshop.yaml line {line}: " in said and "did you mean 'kubernetes'" in said


def test_a_folder_that_is_not_ours_to_write_is_named(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = os.access  # root may write anywhere
    monkeypatch.setattr(
        os, "access", lambda path, mode: not (mode & os.W_OK and Path(path) == tiny) and real(path, mode)
    )
    assert deliver_hub(tiny) == 1
    assert f"nothing can be written into {tiny}" in capsys.readouterr().err and not (tiny / "hub").exists()


def test_what_the_image_installs_is_pinned_and_holds_no_kit(tiny: Path, project: Path) -> None:
    deliver_hub(tiny)
    hub, pins = tiny / "hub", (project / "constraints.txt").read_text(encoding="utf-8").lower()
    assert (hub / "requirements.txt").read_text(encoding="utf-8").splitlines() == list_requirements()
    assert {"torch", "jupyterhub", "jupyter-server-proxy"} <= {line.split(">")[0] for line in list_requirements()}
    assert (hub / "constraints.txt").read_text(encoding="utf-8").lower() == pins
    recipe = (hub / "Dockerfile").read_text(encoding="utf-8").splitlines()
    copied = {name for line in recipe if line.startswith("COPY") for name in line.split()[1:-1]}
    ignored = (hub / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert (
        ignored[0] == "*" and {line[1:] for line in ignored[1:]} == copied and all((hub / c).exists() for c in copied)
    )
    chart = yaml.safe_load((hub / "values.yaml").read_text(encoding="utf-8"))
    assert chart["singleuser"]["storage"]["extraVolumes"][0]["name"] == "lab-kits"  # as lab_hub.py mounts it


# What a user's server does first.


@pytest.fixture
def start(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A user's first and later starts, up to where the script becomes the user's server; returns the user's kit."""
    deliver_hub(tiny)
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("LAB_KIT_GROUP", "group-1")
    began = []
    monkeypatch.setattr(os, "execv", lambda program, argv: began.append((os.getcwd(), argv)))

    def begin() -> Path:
        deliver_hub(tiny)
        monkeypatch.setenv("LAB_KIT_SOURCE", str(kits_of(tiny / "hub")["group-1"]))
        path, here, mask, loaded = list(sys.path), Path.cwd(), os.umask(0o022), len(began)
        try:
            runpy.run_path(str(HUB_FILES / "start_kit.py"), run_name="__main__")
        finally:
            sys.path[:] = path
            os.chdir(here)
            os.umask(mask)
        assert len(began) == loaded + 1 and began[-1][0] == str(home / "group-1")
        assert began[-1][1][1:] == ["-m", "lab_code.workshop.hub_page"]
        return home / "group-1"

    return begin


def test_the_first_start_copies_the_kit_for_this_account_alone(start, tiny: Path) -> None:
    kit = start()
    assert {name: text for name, (text, _) in tree(kit).items()} == {
        name: text for name, (text, _) in tree(tiny / "kits" / "group-1").items()
    }
    assert (kit / ".lab" / "handin.key").stat().st_mode & 0o777 == 0o600 and kit.stat().st_mode & 0o077 == 0
    before = times(kit)
    assert times(start()) == before


def test_a_newer_kit_arrives_and_a_users_work_stays(start, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kit = start()
    (kit / "progress.jsonl").write_bytes(b"{}\n")
    (kit / "notebooks").mkdir()
    (kit / "notebooks" / "mine.ipynb").write_bytes(b"mine")
    (kit / "lab_code" / "config.py").write_bytes(b"lr = 7\n")
    changed = {"README.md": b"New.\n", "lab_code/config.py": b"lr = 1\n", "locked/1-x.lab": b"another lock"}
    edit_kit(tiny, **changed)
    lock = (kit / "locked" / "1-x.lab").read_bytes()
    start()
    assert (kit / "README.md").read_bytes() == b"New.\n" and (kit / "locked" / "1-x.lab").read_bytes() == lock
    assert (kit / "lab_code" / "config.py").read_bytes() == b"lr = 7\n"
    assert (kit / "progress.jsonl").read_bytes() == b"{}\n" and (
        kit / "notebooks" / "mine.ipynb"
    ).read_bytes() == b"mine"
    said = capsys.readouterr().err
    assert "lab_code/config.py stays as it is: changed by the group" in said and "its locks" in said


def test_a_start_that_was_cut_off_is_completed(start) -> None:
    kit = start()
    (kit / "README.md").unlink()
    (kit / ".delivery" / "files").mkdir(parents=True)
    (kit / ".delivery" / "files" / "README.md").write_bytes(b"half a")
    start()
    assert (kit / "README.md").read_bytes() == b"Read me.\n" and not (kit / ".delivery").exists()


def test_work_of_another_workshop_is_opened_and_not_replaced(
    start, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = start()
    (kit / "progress.jsonl").write_bytes(b"{}\n")
    document = json.loads((kit / "kit.json").read_text(encoding="utf-8"))
    (kit / "kit.json").write_text(json.dumps({**document, "workshop": "last-year"}), encoding="utf-8")
    before = tree(kit)
    start()
    assert tree(kit) == before and "it holds the work of group-1 (last-year)" in capsys.readouterr().err


def test_a_folder_of_other_things_is_no_kit_and_stays(start, tmp_path: Path) -> None:
    (tmp_path / "home" / "group-1").mkdir()
    (tmp_path / "home" / "group-1" / "thesis.tex").write_bytes(b"mine")
    with pytest.raises(SystemExit):
        start()
    assert tree(tmp_path / "home") == {"group-1/thesis.tex": (b"mine", 0o644)}


# What the hub is told.


@pytest.fixture
def lab_hub():
    return SimpleNamespace(**runpy.run_path(str(HUB_FILES / "lab_hub.py")))


def test_a_port_in_use_is_said_with_the_setting_to_change(
    tiny: Path, lab_hub, capsys: pytest.CaptureFixture[str]
) -> None:
    for offset in range(3):
        port = find_ports()
        describe(tiny.parent, port=port, address="127.0.0.1")
        deliver_hub(tiny)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port + offset))
            taken.listen()
            with pytest.raises(SystemExit):
                lab_hub.configure(Config(), tiny / "hub")
        assert f"error: port {port + offset} cannot be used" in (said := capsys.readouterr().err) and "hub.port" in said


def test_settings_of_a_hub_that_brings_its_own_stay(tiny: Path, lab_hub) -> None:
    describe(tiny.parent, spawner="systemd", memory_mb=1500, cpus=2, at_once=3)
    deliver_hub(tiny)
    c = Config()
    c.JupyterHub.spawner_class = "the littlest hub's own"
    lab_hub.configure(c, tiny / "hub")
    assert c.JupyterHub.spawner_class == "the littlest hub's own" and "bind_url" not in c.JupyterHub
    assert (c.Spawner.mem_limit, c.Spawner.cpu_limit) == ("1500M", 2.0)
    assert c.Spawner.environment["OMP_NUM_THREADS"] == "2"


def test_servers_start_so_many_at_a_time_and_the_others_wait(lab_hub, monkeypatch: pytest.MonkeyPatch) -> None:
    spawners, starting, most = [SimpleNamespace(pending="spawn") for _ in range(7)], [], []

    async def start(spawner: SimpleNamespace) -> None:
        await lab_hub.take_turn(spawner, starting, 3)
        most.append(sum(other.pending == "spawn" for other in starting))
        await asyncio.sleep(0)
        spawner.pending = None

    async def start_all() -> None:
        await asyncio.gather(*(start(spawner) for spawner in spawners))

    monkeypatch.setitem(lab_hub.take_turn.__globals__, "_LOOK_S", 0)
    asyncio.run(start_all())
    assert len(most) == 7 and max(most) == 3


def sit_down(name: str, **more: object) -> SimpleNamespace:
    return SimpleNamespace(user=SimpleNamespace(name=name), environment={}, **more)


def test_users_of_any_authenticator_get_their_groups_kit_or_are_told(tiny: Path, lab_hub) -> None:
    describe(tiny.parent, authenticator="pam", users={"ada": "group-2"})
    deliver_hub(tiny)
    settings = json.loads((tiny / "hub" / "hub.json").read_text(encoding="utf-8"))
    assert not settings["accounts"]
    ada, stranger, group = sit_down("ada"), sit_down("eve"), sit_down("group-1")
    lab_hub.give_kit(ada, tiny / "hub", settings)
    assert ada.environment == {"LAB_KIT_SOURCE": str(kits_of(tiny / "hub")["group-2"]), "LAB_KIT_GROUP": "group-2"}
    with pytest.raises(lab_hub.NoKitError, match="eve belongs to no group") as refused:
        lab_hub.give_kit(stranger, tiny / "hub", settings)
    assert "hub.users" in refused.value.jupyterhub_message
    shutil.rmtree(kits_of(tiny / "hub")["group-1"])
    with pytest.raises(lab_hub.NoKitError, match="the kit of group-1 is missing"):
        lab_hub.give_kit(group, tiny / "hub", settings)


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_a_container_sees_its_own_groups_kit_alone(tiny: Path, lab_hub, kind: str) -> None:
    describe(tiny.parent, spawner=kind)
    deliver_hub(tiny)
    settings, kit = json.loads((tiny / "hub" / "hub.json").read_text()), kits_of(tiny / "hub")["group-1"]
    home = {"name": "home", "mountPath": "/home"}
    spawner = sit_down("group-1", read_only_volumes={"/a": "/b"}, volume_mounts=[home])
    for _ in range(2):  # a server that is started again
        lab_hub.give_kit(spawner, tiny / "hub", settings)
    assert spawner.environment["LAB_KIT_SOURCE"] == "/srv/lab-kit"
    if kind == "docker":
        assert spawner.read_only_volumes == {"/a": "/b", str(kit): "/srv/lab-kit"}
    else:
        mount = {"name": "lab-kits", "mountPath": "/srv/lab-kit", "subPath": kit.name, "readOnly": True}
        assert spawner.volume_mounts == [home, mount]


# A hub that really runs.


@needs_hub
@pytest.mark.slow
def test_groups_sign_in_open_a_lock_and_train_in_a_real_hub(build: Path, tmp_path: Path) -> None:
    mine, port = tmp_path / "build", find_ports()
    for name in ("kits", "vault"):
        shutil.copytree(build / name, mine / name)
    workshop = tmp_path / "workshop.yaml"
    described = {"id": "small", "title": "Small", "seed": 7, "groups": make_small_workshop().groups}
    described["stages"] = [vars(stage) for stage in make_small_workshop().stages]
    described["hub"] = {"port": port, "address": "127.0.0.1", "memory_mb": 1500}
    workshop.write_text(yaml.safe_dump(described), encoding="utf-8")
    assert main(["deliver", "hub", "--workshop", str(workshop), "--build", str(mine)]) == 0
    shutil.rmtree(kits_of(mine / "hub")["group-3"])
    with run_hub(mine / "hub", port) as hub:
        asyncio.run(play(hub, mine))


async def play(hub: Hub, build: Path) -> None:
    """Two groups at work, one without a kit, and somebody with a wrong password."""
    with (build / "vault" / "hub-passwords.csv").open(encoding="utf-8") as file:
        passwords = {row["account"]: row["password"] for row in csv.DictReader(file)}
    stage = json.loads((build / "vault" / "key.json").read_text(encoding="utf-8"))["group-1"][0]
    await hub.wait()
    one, two, three = (Person(hub, group) for group in passwords)
    assert (await Person(hub, "group-1").sign_in(passwords["group-2"])).code == 403
    for person in (one, two, three):
        assert (await person.sign_in(passwords[person.name])).code == 302
    pages = await asyncio.gather(one.start_server(), two.start_server(), three.start_server())
    assert [page.code for page in pages[:2]] == [200, 200], hub.log.read_text(encoding="utf-8")
    assert "the kit of group-3 is missing" in pages[2].body.decode().replace("&#39;", "'")
    assert (await two.fetch(one.home + "lab")).code in (302, 403)
    unlock = f"lab('unlock --answers {stage['answers']}')"
    train = "lab('train experiment=baseline trainer.epochs=1')"
    said = await one.type_in("!cd .. && ./lab ui", "from kit import lab", unlock, train)
    assert f"behind the hub's own address: {one.home}mlflow/" in said and "balanced accuracy" in said, said
    link = await one.fetch(f"{one.home}lab-mlflow")
    assert link.code == 302 and link.headers["Location"].startswith(f"{one.home}mlflow/?enter#/experiments/1/runs")
    asked = await one.ask("mlflow/ajax-api/2.0/mlflow/runs/search", "POST", experiment_ids=["1"])
    assert [run["info"]["status"] for run in asked["runs"]] == ["FINISHED"]
