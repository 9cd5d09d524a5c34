"""A JupyterHub's folder: its configuration, and every group's kit for users to be given on their first start.

    plan = plan_hub(workshop, vault, cargos, folder)      # reads, and changes nothing
    apply_hub(plan, advance)

Kits are delivered into it by the plan that all ways share. What runs there, in the hub's Python and in that of its
users, lies in `hub_files/`; the rules by which a user's own kit is brought up to date go along, as they are here.
"""

import hashlib
import os
import shutil
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from instructor.deliver.cargo import Cargo, refuse
from instructor.deliver.folder import deliver, look
from instructor.deliver.plan import Plan, plan_delivery, show_bytes
from instructor.vault import Vault
from instructor.workshop import HUB_GROUPS, PROJECT, Workshop
from lab_code.errors import LabError
from lab_code.files import to_json, write_whole

SETTINGS, KITS, PASSWORDS = "hub.json", "kits", "hub-passwords.csv"
_FILES = Path(__file__).parent / "hub_files"
_TOP = ("jupyterhub_config.py", "lab_hub.py", "Dockerfile", "values.yaml")
_RULES = ("__init__.py", "deliver/__init__.py", "deliver/cargo.py", "deliver/folder.py", "deliver/plan.py")
_IGNORED = "*\n!start\n!requirements.txt\n!constraints.txt\n"  # what no image needs, kits and settings above all
_SCRYPT = {"n": 2**14, "r": 8, "p": 1}
_READABLE, _PRIVATE, _MAY_PASS = 0o644, 0o600, 0o711


@dataclass
class HubPlan:
    """Each kit's plan by its group, and the hub's own files that are to be written."""

    folder: Path
    cargos: dict[str, Cargo]
    places: dict[str, str]  # group -> the name of its kit's folder, which nobody can guess
    passwords: dict[str, str]
    plans: dict[str, Plan] = field(default_factory=dict)
    write: dict[str, bytes] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def changes(self) -> bool:
        return bool(self.write) or any(plan.changes for plan in self.plans.values())


def plan_hub(workshop: Workshop, vault: Vault, cargos: Sequence[Cargo], folder: Path) -> HubPlan:
    """What the folder holds and would get. Raises `LabError` where no hub can be there."""
    readable = {cargo.name: _open_to_all(cargo) for cargo in cargos}
    places = {group: f"{group}-{vault.password(workshop.id, group, 'hub kit')}" for group in readable}
    passwords = {group: vault.password(workshop.id, group, "hub") for group in workshop.groups}
    plan = HubPlan(folder, readable, places, passwords)
    _demand_folder(folder)
    for group, cargo in readable.items():
        plan.plans[group] = plan_delivery(cargo, look(folder / KITS / places[group]))
        plan.faults += [f"{group}: {fault}" for fault in plan.plans[group].faults]
    wanted = _make_files(workshop, vault, plan)
    plan.write = {name: content for name, content in wanted.items() if _read(folder / name) != content}
    needs = sum(mine.needs for mine in plan.plans.values()) + sum(map(len, plan.write.values()))
    free = shutil.disk_usage(_standing(folder)).free
    if needs > free:
        plan.faults.append(f"{folder}: {show_bytes(needs)} are needed, {show_bytes(free)} are free")
    return plan


def apply_hub(plan: HubPlan, advance: Callable[[], object] = lambda: None) -> None:
    """Write what is missing or out of date, the settings last. Raises `LabError` for the plan's faults."""
    refuse(plan.faults, "nothing was written")
    (plan.folder / KITS).mkdir(parents=True, exist_ok=True)
    (plan.folder / KITS).chmod(_MAY_PASS)  # each account may open its own kit, and list no other one
    for group, cargo in plan.cargos.items():
        deliver(cargo, plan.folder / KITS / plan.places[group], advance)
    for name in sorted(plan.write, key=lambda name: name == SETTINGS):
        write_whole(plan.folder / name, plan.write[name], _PRIVATE if name == SETTINGS else _READABLE)


def write_passwords(plan: HubPlan, vault: Vault) -> Path:
    """The list of accounts, in the vault."""
    path = vault.folder / PASSWORDS
    lines = [f"{group},{password}\n" for group, password in plan.passwords.items()]
    write_whole(path, "account,password\n" + "".join(lines), _PRIVATE)
    return path


def _open_to_all(cargo: Cargo) -> Cargo:
    """The same kit for other accounts to copy: who may, is decided by who knows its folder's name."""
    return replace(cargo, files={name: replace(item, mode=item.mode | 0o444) for name, item in cargo.files.items()})


def _demand_folder(folder: Path) -> None:
    place = _standing(folder)
    if not place.is_dir():
        raise LabError(f"{place} is a file, not a folder", hint="name another place for the hub")
    if not os.access(place, os.W_OK | os.X_OK):
        raise LabError(
            f"nothing can be written into {place}",
            hint="name a folder of your own (instructor deliver hub FOLDER), or call it with sudo",
        )
    if folder.is_dir() and not (folder / SETTINGS).is_file() and any(folder.iterdir()):
        known = {KITS, "start", "state", "homes", *_TOP, "requirements.txt", "constraints.txt", ".dockerignore"}
        if strangers := sorted(path.name for path in folder.iterdir() if path.name not in known):
            raise LabError(f"{folder} holds other things: {strangers[0]}", hint="name a folder of its own for the hub")


def _make_files(workshop: Workshop, vault: Vault, plan: HubPlan) -> dict[str, bytes]:
    """Everything but the kits, as it should be."""
    files = {name: (_FILES / name).read_bytes() for name in _TOP}
    files["start/start_kit.py"] = (_FILES / "start_kit.py").read_bytes()
    files |= {f"start/instructor/{name}": (PROJECT / "instructor" / name).read_bytes() for name in _RULES}
    files["requirements.txt"] = "".join(f"{line}\n" for line in list_requirements()).encode()
    files["constraints.txt"] = (PROJECT / "constraints.txt").read_bytes()
    files[".dockerignore"] = _IGNORED.encode()
    files[SETTINGS] = to_json(_make_settings(workshop, vault, plan)).encode()
    return files


def _make_settings(workshop: Workshop, vault: Vault, plan: HubPlan) -> dict[str, object]:
    accounts: dict[str, dict[str, object]] = {}
    if workshop.hub.authenticator == HUB_GROUPS:
        for group, password in plan.passwords.items():
            salt = vault.password(workshop.id, group, "hub salt")
            digest = hashlib.scrypt(password.encode("ascii"), salt=salt.encode("ascii"), **_SCRYPT).hex()
            accounts[group] = {"salt": salt, "hash": digest, **_SCRYPT}
    return {**asdict(workshop.hub), "workshop": workshop.id, "kits": plan.places, "accounts": accounts}


def list_requirements() -> list[str]:
    """What the users' Python needs: all that a kit needs, and the hub's own packages."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return [*project["dependencies"], *project["optional-dependencies"]["hub"]]


def _standing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
