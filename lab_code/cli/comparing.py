"""`lab compare`: two runs side by side, as a review shows them as well."""

from typing import TYPE_CHECKING, Annotated

import typer

from lab_code.cli.outcome import print_mistake
from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.workshop.kit import find_kit

if TYPE_CHECKING:
    from rich.console import Console

    from lab_code.analysis.compare import Comparison
    from lab_code.data.dataset import Dataset


def compare(
    runs: Annotated[list[str] | None, typer.Argument(help="Two runs by name; the newest two if left out.")] = None,
    code: Annotated[bool, typer.Option("--code", help="Show every line of the code that differs.")] = False,
) -> None:
    """Show two runs side by side: what was changed, and what it did.

    Example: lab compare baseline balanced
    """
    from lab_code.analysis.compare import choose_runs, compare_code, compare_runs
    from lab_code.tracking.runs import read_runs

    comparison = compare_runs(*choose_runs(read_runs(find_kit().root), runs or []))
    console = make_console()
    print_comparison(comparison, console)
    for run in (comparison.first, comparison.second):
        print_mistake(run, f"{run.name}: ")
    difference = compare_code(comparison.first, comparison.second)
    if difference and code:
        console.print(difference, markup=False)
    elif difference:
        files = [line.removeprefix("+++ b/") for line in difference.splitlines() if line.startswith("+++ b/")]
        console.print(f"The code differs in {', '.join(files)}; every line of it: --code", markup=False)


def print_comparison(comparison: "Comparison", console: "Console") -> None:
    """Settings that differ, and the scores of both runs."""
    from lab_code.data.ham10000 import read_dataset

    dataset = read_dataset(comparison.second.artifacts)
    first, second = escape(comparison.first.name), escape(comparison.second.name)
    changed = make_table("what was changed", first, second, title="Settings")
    for row in comparison.changed:
        changed.add_row(*map(escape, row))
    columns = [first, second, "difference"]
    did = make_table("what it did (validation)", title="Results of the best epoch", right=columns)
    for score in comparison.scores:
        did.add_row(_name_score(score.name, dataset), *score.texts, score.difference)
    console.print(changed if comparison.changed else "The two runs have the same settings.")
    console.print(did)
    word, groups = dataset.class_words[0], dataset.group_words[1]
    console.print(f"(of a {word}: its sensitivity, the share of its photographs that was recognised)", style="dim")
    if any("(" in text for score in comparison.scores for text in score.texts):
        console.print(f"(in brackets: 95 % intervals, by bootstrap over {groups})", style="dim")


def _name_score(name: str, dataset: "Dataset") -> str:
    """`balanced accuracy`; a sensitivity by its class, `melanoma (mel)`."""
    code = name.removeprefix("sensitivity/")
    return dataset.label(code) if code != name else name.replace("_", " ")
