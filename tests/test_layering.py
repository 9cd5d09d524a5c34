"""Imports go one way. The order is the one that docs/architecture.md draws."""

import ast
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent

# Whatever stands later may import what stands earlier, never the other way round.
ORDER = [
    "errors", "files", "limits", "config",
    "data.csv_file", "data.image_files", "data.dataset", "data.table", "data.ham10000", "data.diagnoses",
    "data.class_folders", "data.image_table", "data.medmnist", "data.photographs", "data.duplicates", "data.lesions",
    "data.augment",
    "models", "losses", "metrics",
    "training.devices", "training.optimizers", "training.trainer", "training.reporter", "training.checkpoint",
    "frameworks",
    "plots.live_run", "plots.one_run", "plots.several", "plots.search",
    "tracking.interrupts", "tracking.one_at_a_time", "tracking.names", "tracking.views",
    "tracking.provenance", "tracking.running", "tracking.store", "tracking.runs", "tracking.description",
    "tracking.history", "tracking.empty_store", "tracking.store_copy", "tracking.tracker",
    "tracking.adding", "tracking.records",
    "experiment",
    "jobs.servers", "jobs.ssh", "jobs.far", "jobs.worker", "jobs.train_task", "jobs.record", "jobs.away", "jobs.send",
    "jobs.follow", "jobs.home", "jobs.parting", "jobs.sweep", "jobs.search", "jobs.search_task",
    "analysis.used_code", "analysis.card", "analysis.compare", "analysis.live", "analysis.table", "analysis.in_words",
    "analysis.dry_run", "analysis.explain", "analysis.differences",
    "workshop",
    "cli.printable", "cli.rich_hook", "cli.notebook_console", "cli.terminal", "cli.progress_bar", "cli.trial",
    "cli.following",
    "cli.statements", "cli.outcome", "cli.comparing", "cli.training", "cli.coming_home", "cli.remote", "cli.runs",
    "cli.relay", "cli.predict", "cli.desk", "cli.status", "cli.app", "cli.__main__",
    "notebook.live_table", "notebook.progress_strip", "notebook.picture", "notebook.command_form",
    "notebook.quiz_widget", "notebook.opinion_widgets", "notebook.statement_widgets", "notebook",
]  # fmt: skip
ROOMS = list(dict.fromkeys(entry.split(".")[0] for entry in ORDER))
CHAIN = ORDER[: ORDER.index("workshop")]
INSIDE_COMMANDS = {"torch", "mlflow", "hydra", "omegaconf", "numpy", "matplotlib", "pandas", "sklearn", "tensorflow"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def place(module: str) -> int:
    """Where in ORDER a module of lab_code stands."""
    name = module.removeprefix("lab_code").removeprefix(".")
    return max((ORDER.index(entry) for entry in ORDER if name == entry or name.startswith(entry + ".")), default=-1)


LAB_CODE = sorted((PROJECT / "lab_code").rglob("*.py")) + sorted((PROJECT / "locked").rglob("*.py"))


@pytest.mark.parametrize("path", LAB_CODE, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_modules_import_only_what_stands_before_them(path: Path) -> None:
    name = module_name(path)
    mine = place(name[name.index("lab_code") :])
    later = [other for other in imports(path) if other.startswith("lab_code.") and place(other) > mine]
    assert not later, f"{path} imports {later}, which stand after it"


@pytest.mark.parametrize("path", LAB_CODE, ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_nothing_that_students_get_imports_the_instructor(path: Path) -> None:
    assert not [other for other in imports(path) if other.split(".")[0] in ("instructor", "tests")]


def test_a_newcomer_reads_twenty_short_names_at_the_top() -> None:
    names = [path.name for path in (PROJECT / "lab_code").iterdir() if path.name != "__pycache__"]
    assert len(names) <= 20 and max(map(len, names)) <= 14


def test_every_module_has_its_place_in_the_order_and_rooms_stand_together() -> None:
    modules = [module_name(path)[len("lab_code.") :] for path in (PROJECT / "lab_code").rglob("*.py")]
    assert not [name for name in modules if name and place(name) < 0 and name not in ROOMS]
    rooms = [entry.split(".")[0] for entry in ORDER]
    assert rooms == sorted(rooms, key=ROOMS.index)


def test_nothing_in_the_chain_knows_the_workshop() -> None:
    for path in LAB_CODE:
        name = module_name(path)
        if any(f".{entry}" in name for entry in CHAIN):
            assert not [other for other in imports(path) if "workshop" in other], path


def test_the_workshop_never_imports_torch() -> None:
    for path in (PROJECT / "lab_code" / "workshop").glob("*.py"):
        assert not {"torch", "lab_code.training.trainer", "lab_code.experiment", "lab_code.tracking.tracker"} & imports(
            path
        ), path


def test_only_tracking_speaks_to_mlflow() -> None:
    speakers = {path.name for path in LAB_CODE if any(other.split(".")[0] == "mlflow" for other in imports(path))}
    assert speakers == {"tracker.py"}


@pytest.mark.parametrize(("framework", "speaker"), [("sklearn", "sklearn.py"), ("tensorflow", "tensorflow.py")])
def test_only_its_own_file_speaks_to_a_framework(framework: str, speaker: str) -> None:
    speakers = {path.name for path in LAB_CODE if any(other.split(".")[0] == framework for other in imports(path))}
    assert speakers == {speaker}


def test_only_config_speaks_to_hydra() -> None:
    speakers = {path.name for path in LAB_CODE if {o.split(".")[0] for o in imports(path)} & {"hydra", "omegaconf"}}
    assert speakers == {"config.py"}


@pytest.mark.parametrize(
    "name",
    ["cli/app.py", "cli/status.py", "cli/runs.py", "cli/predict.py", "cli/desk.py", "cli/terminal.py", "errors.py"],
)
def test_the_command_line_imports_nothing_heavy_at_its_top(name: str) -> None:
    tops = {other.split(".")[0] for other in imports(PROJECT / "lab_code" / name, top_only=True)}
    assert not tops & INSIDE_COMMANDS


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        path
        for tree in ("lab_code", "instructor", "locked")
        for path in (PROJECT / tree).rglob("*.py")
        if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not silent
