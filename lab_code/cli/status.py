"""The command `lab status`: the stages with their questions, the runs, and what the group should type next."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab_code.cli.runs import print_notes
from lab_code.cli.terminal import escape, make_console, make_table, wrap
from lab_code.workshop.kit import Kit, Stage, find_kit, missing_stage_files
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from rich.table import Table

    from lab_code.tracking.runs import Run


def status(
    as_json: Annotated[bool, typer.Option("--json", help="For programs: one line, where the group stands.")] = False,
) -> None:
    """Show the stages, their questions, and your runs.

    Example: lab status
    """
    if as_json:
        _print_standing()
        return
    from lab_code.tracking.runs import read_runs
    from lab_code.workshop.clock import find_lateness
    from lab_code.workshop.progress import read_journal
    from lab_code.workshop.unlock import next_stage

    kit = find_kit()
    console = make_console()
    console.print(f"[bold]{escape(kit.title)}[/]  ·  {kit.group}  ·  {points(kit)}\n")
    current = next_stage(kit)
    for stage in kit.stages:
        _print_stage(kit, stage, is_next=stage == current)
    runs = read_runs(kit.root)
    if runs:
        console.print(_runs_table(runs))
    print_store_notes(kit)
    for fault in read_journal(kit.root).faults:
        make_console(stderr=True).print(f"[yellow]note:[/] {fault}; tell the instructor, and carry on")
    if kit.server:
        from lab_code.workshop.course_server import describe_sending

        if waiting := describe_sending(kit):
            make_console(stderr=True).print(f"[yellow]note:[/] {escape(waiting)}")
    late = find_lateness(kit, read_journal(kit.root))
    if late:
        console.print(f"[yellow]time:[/] {late.text}")
    step, remark = next_step(kit, runs)
    console.print(f"Next: [bold]{escape(spell_commands(step))}[/]" + (f"   ({escape(remark)})" if remark else ""))


def _print_standing() -> None:
    from lab_code.workshop.standing import read_standing, standing_to_json

    print(json.dumps(standing_to_json(read_standing(find_kit()))))


def _print_stage(kit: Kit, stage: Stage, *, is_next: bool) -> None:
    from lab_code.workshop.progress import read_journal
    from lab_code.workshop.quiz import how_to_answer, read_questions

    console = make_console()
    is_open = read_journal(kit.root).unlocked(stage.id)
    state = "[green]open[/]" if is_open else "[yellow]locked[/]"
    console.print(f"[bold]Stage {kit.number(stage)}: {escape(stage.title)}[/]  {state}")
    if is_open and missing_stage_files(kit, stage):
        console.print(
            f"  missing: {', '.join(missing_stage_files(kit, stage))}; unlock this stage again to get them back"
        )
    for number, question in enumerate(read_questions(kit)[stage.id], 1) if not is_open else ():
        console.print(wrap(question.text, "     ", f"  {number}. "), markup=False)
        if is_next:
            for n, option in enumerate(question.options, 1):
                console.print(wrap(option, "        ", f"     {n}  "), markup=False)
            how = how_to_answer(question.kind)
            kind = f"{how}; " if how else ""
            console.print(f"     {kind}look in {question.look_in}", markup=False, style="dim")
    console.print(wrap(", ".join(stage.opens), "        ", "  opens ") + "\n", markup=False)


def next_step(kit: Kit, runs: "list[Run]") -> tuple[str, str]:
    """The command that the group should type next, and what has to be said about it."""
    from lab_code.tracking.runs import can_resume
    from lab_code.workshop.clock import find_lateness
    from lab_code.workshop.feedback import is_left_behind
    from lab_code.workshop.progress import read_journal
    from lab_code.workshop.quiz import example_answers, read_questions
    from lab_code.workshop.unlock import next_stage

    if runs and can_resume(kit.root, runs[-1]):
        return "lab resume", f"goes on with '{runs[-1].name}', which was stopped"
    late = find_lateness(kit, read_journal(kit.root))
    if late and late.hand_in:
        return "lab handin", ""
    current = next_stage(kit)
    names = {run.name for run in runs if run.status == "FINISHED"}
    brought = [Path(path).stem for stage in kit.stages for path in stage.opens if "/experiment/" in path]
    asked, own = [name for name in brought[:-1] if _experiment_file(kit, name).is_file()], brought[-1:]
    untried = [name for name in asked if name not in names]
    if untried:
        return f"lab train experiment={untried[0]}", ""
    if current is not None:
        words = ' --room-code "the words on the wall"' if current.room_code else ""
        typed = f"lab unlock --answers {example_answers(read_questions(kit)[current.id])}{words}"
        return typed, f"with your own answers to stage {kit.number(current)}"
    if names <= set(asked) and own:
        return f"lab train experiment={own[0]}", "or any other run of your own"
    done = [event["event"] for event in read_journal(kit.root).events if event.get("event") in ("trained", "handed_in")]
    if is_left_behind(kit.root, read_journal(kit.root)):
        return "lab handin", "once more: your feedback travels with it"
    if done[-1:] == ["handed_in"]:
        return "lab compare", "you have handed in; after any further run, do it again"
    return "lab handin", ""


def _runs_table(runs: "list[Run]") -> "Table":
    table = make_table("run", "id", "state", title="Runs", right=["balanced accuracy", "accuracy", "seconds"])
    for run in runs:
        scores = [run.metrics.get(f"best_{key}") for key in ("balanced_accuracy", "accuracy")]
        cells = ["–" if score is None else f"{score:.3f}" for score in scores]
        table.add_row(
            escape(run.name),
            run.run_id[:8],
            run.status.lower(),
            *cells,
            "–" if run.seconds is None else f"{run.seconds:.0f}",
        )
    return table


def _experiment_file(kit: Kit, name: str) -> Path:
    return kit.root / "lab_code" / "conf" / "experiment" / f"{name}.yaml"


def print_store_notes(kit: Kit) -> None:
    """What is odd about the store, and which runs are not in it any more."""
    from lab_code.tracking.runs import read_store
    from lab_code.workshop.missing_runs import describe_missing

    store = read_store(kit.root)
    missing = describe_missing(kit.root, {run.run_id for run in store.runs})
    print_notes([*store.notes, *missing])


def count(number: int, noun: str) -> str:
    """`1 run`, `2 runs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def points(kit: Kit) -> str:
    """What the group has so far, in words."""
    from lab_code.workshop.points import count_points
    from lab_code.workshop.progress import read_journal

    return count(count_points(read_journal(kit.root), [stage.id for stage in kit.stages], kit.points), "point")
