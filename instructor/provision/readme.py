"""The README.md of a kit, in the words of its subject and with its own experiments.

`kit_files/README.md` is the text; what differs from workshop to workshop is filled in here.
"""

from collections.abc import Sequence
from pathlib import Path
from string import Template

from lab_code.data.dataset import Dataset
from lab_code.data.ham10000 import is_other

_TEMPLATE = Path(__file__).parent / "kit_files" / "README.md"
_DEFAULT = "default"  # what a run is called that no experiment has named (lab_code/conf/train.yaml)
_COLUMN = 52  # where what a command does begins


def make_readme(title: str, group: str, dataset: Dataset, experiments: Sequence[Sequence[str]]) -> str:
    """The text; `experiments` are those that each stage opens."""
    lines = [f"    {command:<{_COLUMN}}# {does}" for command, does in _list_commands(dataset, experiments)]
    clinic = "" if is_other(dataset) else ", never for clinical use"
    notice = f" {dataset.notice}" if is_other(dataset) and dataset.notice else ""
    words = {
        "title": title,
        "group": group,
        "subject": dataset.shown,
        "commands": "\n".join(lines),
        "purpose": f"The models are for learning about experiments only{clinic}.{notice}",
    }
    return Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(words)


def _list_commands(dataset: Dataset, experiments: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    names = [name for stage in experiments for name in stage]
    first = names[0] if names else _DEFAULT
    second = names[1] if len(names) > 1 else first
    train = f"lab train experiment={first}" if names else "lab train"
    commands = [("lab data", f"what the photographs are, and how unequal the {dataset.class_words[1]}")]
    if len(names) > 2:
        number = next(n for n, stage in enumerate(experiments, 1) if names[-1] in stage)
        begins = f"where your own experiment begins, once stage {number} is open"
        commands.append((f"lab train experiment={names[-1]}", begins))
    return [
        *commands,
        (f"{train} optimizer.lr=0.01", "change any setting of lab_code/conf/"),
        ("lab train model.width=32 --dry-run", "how large that run would be, without training"),
        ("lab train framework=sklearn", "another kind of model, the same data and scores"),
        ("lab sweep optimizer.lr=1e-4,1e-3 seed=0,1", "every combination, as many at a time as the laptop can"),
        ("lab sweep --search 30", "so many runs, each chosen by what came out before"),
        (f"lab train --on gpu1{train.removeprefix('lab train')}", "on a server, over SSH: "
         "lab_code/jobs/servers.example.yaml"),
        ("lab resume --on gpu1", "a run that was stopped goes on there"),
        ("lab jobs", "what runs where; lab follow shows it again"),
        (f"lab compare {first} {second}" if first != second else "lab compare", "what was changed, and what it did"),
        (f"lab repeat {first}", "the same run again from its record: the same numbers?"),
        (f"lab card {first}", "a card of your run, as a small file and a QR code, for another group"),
        ("lab repeat FILE.card", "make another group's run: the same digits? Then both get points"),
        ("lab duel CODE --answers 6,5,6,…", "human against machine: what are the photographs on the wall?"),
        (f'lab bet {first} 0.4 --why "few {dataset.rare}"', "before a run: what will come out? It is told beside the "
         "result"),
        (f'lab sentence "{second} sees 30 of 35 {dataset.rare}, …"', "what was changed, what it did, what one cannot "
         "conclude"),
        ("lab ui", "MLflow alone"),
        ("lab feedback --clear 4 --learned 5 --pace 3", "what you think, without names"),
        ("lab review", "two runs of another group, once the instructor has brought them"),
        (f"lab predict PHOTOGRAPH.jpg --run {second}", "its answer, and where in the photograph it looked"),
    ]  # fmt: skip
