"""What JupyterHub is told about a workshop: `configure(c, folder)`, called by `jupyterhub_config.py` beside this file.

It runs in the hub's own Python, where nothing of the lab kit is installed, so it needs JupyterHub and Python alone.
`hub.json` holds the settings of `hub` in workshop.yaml, the groups' kits, and the accounts with hashed passwords.

Settings that were made before (by The Littlest JupyterHub, or the chart of Zero to JupyterHub) stay: these bring their
own spawner, proxy and ports.
"""

import asyncio
import hashlib
import hmac
import json
import os
import socket
import sys
from pathlib import Path
from typing import Any, ClassVar

from jupyterhub.auth import Authenticator
from tornado import web

_IN_CONTAINERS = {"docker": "dockerspawner.DockerSpawner", "kubernetes": "kubespawner.KubeSpawner"}
_SPAWNERS = {"simple": "simple", "systemd": "systemdspawner.SystemdSpawner", **_IN_CONTAINERS}
_LOOK_S = 0.5  # how often whoever waits looks whether it is their turn
_TLJH_PYTHON = "/opt/tljh/user/bin/python3"
# In a container: the image has the script (see the Dockerfile); the group's own kit, and no other one, is mounted.
_SCRIPT_IN_IMAGE, _KIT_IN_CONTAINER = "/srv/lab-hub/start/start_kit.py", "/srv/lab-kit"


class NoKitError(web.HTTPError):
    """Shown on the page of a user who has nothing to start: JupyterHub keeps other exceptions to its log."""

    def __init__(self, message: str) -> None:
        super().__init__(503, message)
        self.jupyterhub_message = message


class GroupAuthenticator(Authenticator):  # type: ignore[misc]  # JupyterHub comes without types
    """An account for each group. Its password is compared with a slow hash: guessing takes long."""

    accounts: ClassVar[dict[str, dict[str, Any]]] = {}

    async def authenticate(self, handler: Any, data: dict[str, str]) -> str | None:
        """The group's name where the password is its own."""
        return await asyncio.to_thread(self._check, data["username"].strip(), data["password"].strip())

    def _check(self, name: str, password: str) -> str | None:
        account = self.accounts.get(name)
        if account is None:
            return None
        cost = {key: account[key] for key in ("n", "r", "p")}
        digest = hashlib.scrypt(password.encode("utf-8"), salt=account["salt"].encode("ascii"), **cost).hex()
        return name if hmac.compare_digest(digest, account["hash"]) else None


def configure(c: Any, folder: Path) -> None:
    """Set everything up. Ends with two lines where a port is in use."""
    settings = json.loads((folder / "hub.json").read_text(encoding="utf-8"))
    spawner = settings["spawner"]
    if "spawner_class" not in c.JupyterHub:
        _configure_own(c, folder, settings)
    _configure_accounts(c, settings)
    c.JupyterHub.concurrent_spawn_limit = 0  # JupyterHub's own limit refuses whoever comes then; here they wait
    c.Spawner.default_url = "/lab/tree/notebooks/starter.ipynb"
    c.Spawner.start_timeout = c.Spawner.http_timeout = 300
    c.Spawner.mem_limit, c.Spawner.cpu_limit = f"{settings['memory_mb']}M", float(settings["cpus"])
    threads = str(max(1, round(settings["cpus"])))  # PyTorch would take all processors, for every user
    c.Spawner.environment = {"OMP_NUM_THREADS": threads, "PYTHONUTF8": "1"}
    python = "python" if spawner in _IN_CONTAINERS else _find_python()
    script = _SCRIPT_IN_IMAGE if spawner in _IN_CONTAINERS else str(folder / "start" / "start_kit.py")
    c.Spawner.cmd = [python, script]
    if spawner in _IN_CONTAINERS:
        c.DockerSpawner.image = c.KubeSpawner.image = settings["image"]
    starting: list[Any] = []

    async def prepare(spawner: Any) -> None:
        give_kit(spawner, folder, settings)
        await take_turn(spawner, starting, settings["at_once"])

    c.Spawner.pre_spawn_hook = prepare


async def take_turn(spawner: Any, starting: list[Any], at_once: int) -> None:
    """Wait until fewer than `at_once` servers are starting: more at a time would each take longer than one waits."""
    while len(starting) >= at_once:
        starting[:] = [other for other in starting if other.pending == "spawn"]
        if len(starting) >= at_once:
            await asyncio.sleep(_LOOK_S)
    starting.append(spawner)


def give_kit(spawner: Any, folder: Path, settings: dict[str, Any]) -> None:
    """Tell a user's server which kit is its own. Raises `NoKitError` for a user without one."""
    name = spawner.user.name
    group = settings["users"].get(name) or (name if name in settings["kits"] else None)
    if group is None:
        raise NoKitError(f"{name} belongs to no group. For whoever runs this: hub.users in workshop.yaml")
    kit, kind = folder / "kits" / settings["kits"][group], settings["spawner"]
    if kind != "kubernetes" and not (kit / "kit.json").is_file():
        raise NoKitError(f"the kit of {group} is missing. For whoever runs this: instructor deliver hub")
    given = _KIT_IN_CONTAINER if kind in _IN_CONTAINERS else str(kit)
    spawner.environment = {**spawner.environment, "LAB_KIT_SOURCE": given, "LAB_KIT_GROUP": group}
    if kind == "docker":
        spawner.read_only_volumes = {**spawner.read_only_volumes, str(kit): _KIT_IN_CONTAINER}
    if kind == "kubernetes":  # the volume that values.yaml names holds all kits
        mount = {"name": "lab-kits", "mountPath": _KIT_IN_CONTAINER, "subPath": kit.name, "readOnly": True}
        others = [one for one in spawner.volume_mounts if one["mountPath"] != _KIT_IN_CONTAINER]
        spawner.volume_mounts = [*others, mount]


def _configure_own(c: Any, folder: Path, settings: dict[str, Any]) -> None:
    """A hub that stands alone: spawner, ports, and where it keeps what it knows."""
    state, port = folder / "state", settings["port"]
    state.mkdir(mode=0o700, exist_ok=True)
    c.JupyterHub.spawner_class = _SPAWNERS[settings["spawner"]]
    c.JupyterHub.bind_url = f"http://{settings['address']}:{port}/"
    c.JupyterHub.hub_port = port + 1
    c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{port + 2}"
    c.ConfigurableHTTPProxy.pid_file = str(state / "proxy.pid")
    c.JupyterHub.db_url = f"sqlite:///{state / 'jupyterhub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(state / "cookie_secret")
    c.SimpleLocalProcessSpawner.home_dir_template = str(folder / "homes" / "{username}")
    if not _is_running(state / "proxy.pid"):  # JupyterHub finds and stops a proxy that a hub has left behind
        for address, number in ((settings["address"], port), ("127.0.0.1", port + 1), ("127.0.0.1", port + 2)):
            _demand_port(address, number, port)


def _configure_accounts(c: Any, settings: dict[str, Any]) -> None:
    names = set(settings["users"])
    if settings["authenticator"] == "groups":
        GroupAuthenticator.accounts = settings["accounts"]
        c.JupyterHub.authenticator_class = GroupAuthenticator
        names = set(settings["accounts"])
    elif settings["authenticator"]:
        c.JupyterHub.authenticator_class = settings["authenticator"]
    if names:
        c.Authenticator.allowed_users = names


def _find_python() -> str:
    """The Python of the users' servers: that of The Littlest JupyterHub is another one than the hub's."""
    return _TLJH_PYTHON if "tljh" in sys.modules else sys.executable


def _demand_port(address: str, port: int, first: int) -> None:
    try:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        print(f"error: port {port} cannot be used: {error.strerror}", file=sys.stderr)
        fix = "another one: hub.port in workshop.yaml, then instructor deliver hub"
        print(f"hint: is a hub running already? It needs {first} to {first + 2}; {fix}", file=sys.stderr)
        raise SystemExit(1) from error


def _is_running(pid_file: Path) -> bool:
    try:
        os.kill(int(pid_file.read_text(encoding="ascii").split()[0]), 0)
    except (OSError, ValueError, IndexError):
        return False
    return True
