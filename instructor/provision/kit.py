"""One kit: planned as a list of files from an allow-list, then written beside its place and moved there whole.

`plan_kit` is pure (it reads, but writes nothing); `build_kit` applies a plan. A plan has a fingerprint, so a kit that
is already as planned is left alone.
"""

import hashlib
import json
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template

from instructor.dataset.prepare import CHECKSUMS, PreparedData, shipped_files
from instructor.provision.kit_folder import Contents, KitFolder
from instructor.provision.kit_locks import StartedLocks
from instructor.provision.leaks import SecretSearch, refuse_leaks
from instructor.provision.readme import make_readme
from instructor.provision.sheet import write_group_sheet
from instructor.provision.stages import StagePlan, plan_stages, sheet_stage
from instructor.quizbank.variants import GroupQuestion
from instructor.workshop import PROJECT, Workshop, trees_of
from lab_code.data.ham10000 import read_dataset
from lab_code.files import canonical_json, sha256_file, to_json
from lab_code.tracking.empty_store import script_name
from lab_code.workshop.course_server import PASSWORD_FILE
from lab_code.workshop.doctor import TEST_LOCK
from lab_code.workshop.kit import KIT_FILE, SHEET, Kit, kit_to_json
from lab_code.workshop.plan import UNLOCK
from lab_code.workshop.quiz import QUESTIONS_FILE
from lab_code.workshop.signature import KEY_FILE

_MADE = ("data/", ".lab/")  # not written by people: the data have checksums, the store's script names its version
_TEMPLATES = Path(__file__).parent / "kit_files"
_SHIPPED_TOP = ("constraints.txt", "environment.yml", "LICENSE")
_SHIPPED_TREES = {"lab_code": (".py", ".yaml", ".js", ".css"), "notebooks": (".ipynb", ".py")}
_LAUNCHERS = (
    "lab", "lab.cmd", "start.cmd", "start.command", "setup.sh", "setup.cmd", "setup.command", "no-python.html",
)  # fmt: skip
_RUN = ("lab", "start.command", "setup.sh", "setup.command")  # without naming a program for them
_VSCODE = ("extensions.json", "launch.json", "settings.json", "tasks.json")


@dataclass(frozen=True)
class SharedFiles:
    """What is the same in all kits, listed and hashed once: paths in the kit -> files, and the SHA-256 of those files.

    The photographs have no SHA-256 here; that of `data/SHA256SUMS` stands for them.
    """

    copied: dict[str, Path]
    digests: dict[Path, str]
    contents: Contents = field(default_factory=Contents)


@dataclass(frozen=True)
class KitPlan:
    """Everything a kit will be. `copied` maps paths in the kit to files, `written` to their content."""

    workshop: Workshop
    group: str
    number: int
    stages: list[StagePlan]
    copied: dict[str, Path]
    written: dict[str, bytes]
    data: PreparedData
    shared: SharedFiles

    def fingerprint(self) -> str:
        """Changes with anything that would make another kit (but not with the random parts of its locks)."""
        copied = {name: path for name, path in self.copied.items() if not name.startswith(_MADE)}
        known = self.shared.digests
        described = {
            "group": [self.group, self.number],
            "workshop": [
                self.workshop.id,
                self.workshop.title,
                self.workshop.paper,
                vars(self.workshop.locks),
                vars(self.workshop.points),
                self.workshop.activity_minutes,
                [vars(section) for section in self.workshop.schedule.activity],
                self.workshop.board.report_to,
                self.workshop.server.report_to,
            ],
            "copied": {name: known.get(path) or sha256_file(path) for name, path in copied.items()},
            "made": [name for name in self.copied if name.startswith(".lab/")],
            "written": {name: hashlib.sha256(content).hexdigest() for name, content in self.written.items()},
            "data": sha256_file(self.data.folder / CHECKSUMS),
            "stages": [
                [plan.stage.id, plan.answers, {name: hashlib.sha256(c).hexdigest() for name, c in plan.payload.items()}]
                for plan in self.stages
            ],
        }
        return hashlib.sha256(canonical_json(described)).hexdigest()


def list_shared(data: PreparedData, project: Path = PROJECT, store_script: Path | None = None) -> SharedFiles:
    """What all kits have; `store_script` makes a kit's MLflow store at once, which takes seconds without."""
    copied = {name: _own_or_ours(project, name) for name in _SHIPPED_TOP}
    copied |= {name: _TEMPLATES / name for name in _LAUNCHERS}
    copied |= {f".vscode/{name}": _TEMPLATES / "vscode" / name for name in _VSCODE}
    for tree, suffixes in _SHIPPED_TREES.items():
        for root in trees_of(project, tree):
            for path in sorted(root.rglob("*")):
                place = path.relative_to(root.parent)
                if path.is_file() and path.suffix in suffixes and "." not in "".join(place.parts[:-1]):
                    copied[place.as_posix()] = path
    digests = {path: sha256_file(path) for path in copied.values() if path.is_file()}
    for path in shipped_files(data):
        copied[f"data/{path.relative_to(data.folder).as_posix()}"] = path
    if store_script is not None:
        copied[script_name()] = store_script
    return SharedFiles(copied, digests)


def plan_kit(
    workshop: Workshop,
    group: str,
    variant: dict[str, list[GroupQuestion]],
    data: PreparedData,
    project: Path = PROJECT,
    shared: SharedFiles | None = None,
) -> KitPlan:
    """What one group's kit will hold; `shared` is what `list_shared` has found for all kits.

    Raises `LabError` where a source is missing.
    """
    stages = plan_stages(workshop, variant, project)
    shared = shared or list_shared(data, project)
    number = workshop.groups.index(group) + 1
    questions = {plan.stage.id: [vars(question.shown) for question in plan.questions] for plan in stages}
    readme = make_readme(workshop.title, group, read_dataset(data.folder), [plan.stage.experiments for plan in stages])
    written = {
        QUESTIONS_FILE: to_json(questions).encode("utf-8"),
        "README.md": readme.encode("utf-8"),
        "pyproject.toml": student_pyproject(project).encode("utf-8"),
    }
    return KitPlan(workshop, group, number, stages, dict(shared.copied), written, data, shared)


def build_kit(
    plan: KitPlan,
    folder: Path,
    locks: StartedLocks,
    secrets: SecretSearch,
    on_lock: Callable[[], object] | None = None,
) -> None:
    """Write the kit into `folder`, which the caller moves into place once it is whole.

    `locks` are those that `KitLocks` began; `on_lock` is called once a lock. Raises `LabError` where any of
    `secrets` is found in what was written.
    """
    kit = KitFolder(folder, plan.shared.contents)
    for name, source in plan.copied.items():
        kit.copy(source, name, 0o755 if name in _RUN else None)
    for name, content in plan.written.items():
        kit.write(name, content, 0o600 if name in (KEY_FILE, PASSWORD_FILE) else 0o644)
    minute_of = plan.workshop.schedule.minute_of
    write_group_sheet(
        folder / SHEET,
        title=plan.workshop.title,
        group=plan.group,
        number=plan.number,
        stages=[
            sheet_stage(number, stage, minute_of(f"{UNLOCK} {stage.stage.id}"))
            for number, stage in enumerate(plan.stages, 1)
        ],
        paper=plan.workshop.paper,
    )
    kit.add(SHEET)
    kit.write(TEST_LOCK, locks.test.result().content)
    for stage, lock in zip(plan.stages, locks.files, strict=True):
        kit.write(stage.stage.lock, lock.result().content)
        if on_lock:
            on_lock()
    kit.write(KIT_FILE, to_json(kit_to_json(_identify(plan, kit))).encode("utf-8"))
    refuse_leaks(folder, secrets, kit.digests)


def student_pyproject(project: Path) -> str:
    """The project's pyproject.toml as a kit needs it: the same dependencies, only `lab_code`, only `lab`."""
    document = tomllib.loads(_own_or_ours(project, "pyproject.toml").read_text(encoding="utf-8"))["project"]
    dependencies = "".join(f'    "{requirement}",\n' for requirement in document["dependencies"])
    frameworks = document["optional-dependencies"]["tensorflow"]
    return _fill(
        "pyproject.template",
        version=document["version"],
        python=document["requires-python"],
        dependencies=dependencies,
        extras=f"tensorflow = {json.dumps(frameworks)}\n",
    )


def _own_or_ours(project: Path, name: str) -> Path:
    """A file of the workshop's folder, or where it has none the project's."""
    return project / name if (project / name).is_file() else PROJECT / name


def _fill(name: str, **values: str) -> str:
    return Template((_TEMPLATES / name).read_text(encoding="utf-8")).substitute(values)


def _identify(plan: KitPlan, kit: KitFolder) -> Kit:
    """The kit's identity, with the SHA-256 of every file; photographs are covered by `data/SHA256SUMS`."""
    files = {
        name: digest
        for name, digest in sorted(kit.digests.items())
        if not name.startswith("data/") or name == f"data/{CHECKSUMS}"
    }
    workshop = plan.workshop
    stages = tuple(stage.stage for stage in plan.stages)
    rules, minutes = workshop.points.rules(), workshop.activity_minutes
    made = Kit(kit.root, workshop.id, workshop.title, plan.group, stages, files, rules, minutes)
    made = replace(made, group_number=plan.number)
    made = replace(made, report_to=workshop.board.report_to, server=workshop.server.report_to)
    return replace(made, plan=workshop.schedule.plan())
