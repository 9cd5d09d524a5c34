"""The command `lab predict`: one photograph, what a trained model says of it, and what in it spoke for the answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.cli.training import load_run_config
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, find_kit

if TYPE_CHECKING:
    from rich.table import Table

    from lab_code.data.dataset import Dataset
    from lab_code.tracking.runs import Run


def predict(
    image: Annotated[Path, typer.Argument(help="A photograph: .jpg or .png")],
    run: Annotated[str | None, typer.Option(help="Name or id of a finished run; the newest if left out.")] = None,
) -> None:
    """Ask a trained model about one photograph.

    A picture shows what in it spoke for the answer (Grad-CAM).

    Example: lab predict PHOTOGRAPH.jpg --run balanced
    """
    from lab_code.analysis.explain import explain
    from lab_code.data.photographs import decode_photograph
    from lab_code.experiment import load_learner
    from lab_code.files import remove_leftovers, write_whole
    from lab_code.plots.one_run import plot_explanation, to_png
    from lab_code.tracking.records import WEIGHTS

    kit = find_kit()
    if not image.is_file():
        raise LabError(f"there is no photograph {image}", hint="name a .jpg or .png file")
    chosen = _choose_run(kit, run)
    config = load_run_config(kit, chosen.artifacts)
    learner = load_learner(config, chosen.artifacts / WEIGHTS)
    probabilities, heat = explain(learner, decode_photograph(image, config.data.image_size))
    console = make_console()
    console.print(_make_table(image, chosen, probabilities.tolist(), learner.dataset))
    shown = decode_photograph(image, max(224, config.data.image_size))
    target = _picture_of(kit, image, chosen)
    remove_leftovers(target)
    write_whole(target, to_png(plot_explanation(shown, heat, probabilities, learner.dataset)))
    console.print(f"picture: {target.relative_to(kit.root)}", markup=False)
    if heat is None:
        console.print("(no Grad-CAM: this run's model has no convolutions that can be asked)", style="dim")
    if learner.dataset.notice:
        console.print(learner.dataset.notice, style="dim", markup=False)


def _choose_run(kit: Kit, name: str | None) -> "Run":
    """A finished run whose weights are there: the one that is named, or the newest."""
    from lab_code.analysis.compare import find_run
    from lab_code.tracking.records import WEIGHTS
    from lab_code.tracking.runs import read_runs

    finished = [r for r in read_runs(kit.root) if r.status == "FINISHED" and (r.artifacts / WEIGHTS).is_file()]
    if not finished:
        raise LabError("there is no finished run yet", hint="train first: lab train")
    return find_run(finished, name) if name else finished[-1]


def _make_table(image: Path, run: "Run", probabilities: Sequence[float], dataset: "Dataset") -> "Table":
    """Every class with its probability, the likeliest first; of many the first twenty."""
    title = f"{image.name}, as run '{escape(run.name)}' sees it"
    table = make_table(dataset.class_words[0], "", title=title, right=["probability"])
    for dx, share in sorted(zip(dataset.codes, probabilities, strict=True), key=lambda pair: -pair[1])[:20]:
        table.add_row(dx, dataset.names[dx], f"{share:.1%}")
    return table


def _picture_of(kit: Kit, image: Path, run: "Run") -> Path:
    """Where the picture goes: one file for every photograph and run."""
    from lab_code.files import sha256_file
    from lab_code.limits import plain_name

    photograph = f"{plain_name(image.stem, 60)}-{sha256_file(image)[:6]}"  # two may have one name, in two folders
    return kit.root / "predictions" / f"{photograph}-{plain_name(run.name, 60)}-{run.run_id[:4]}.png"
