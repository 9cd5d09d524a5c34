"""The strip in the notebook that says where the group stands: stages, runs, points, minutes left, the next step.

    progress()     # shows it; every strip of the notebook then follows what happens, and the clock

It is read from the kit each time, so it is right after any restart.
"""

import html
import sys
import threading
from contextlib import suppress

from IPython.display import display, update_display

from lab_code.analysis.compare import best_runs
from lab_code.cli.status import next_step
from lab_code.tracking.runs import Run, read_runs
from lab_code.workshop.clock import begin_sitting, find_lateness, minutes_left
from lab_code.workshop.kit import Kit, find_kit
from lab_code.workshop.mark import draw_mark
from lab_code.workshop.points import count_points
from lab_code.workshop.progress import read_journal
from lab_code.workshop.spelling import spell_commands

_OUTPUT = "lab-progress"  # all strips of a notebook are one output that is shown in several places
_TICK_S = 20
_CHIP = "border:1px solid currentColor;border-radius:0.8em;padding:0.1em 0.7em;margin:0.15em 0.4em 0.15em 0"
_DONE = "background:#1c6b45;color:#ffffff"
_shown = ""
_ticking = threading.Event()


def progress() -> None:
    """Show the strip here. The first one of a sitting starts the group's clock."""
    with suppress(OSError):  # a folder that cannot be written to: the commands say so
        begin_sitting(find_kit().root)
    refresh()
    display(_bundle(), raw=True, display_id=_OUTPUT)
    if not _ticking.is_set():
        _ticking.set()
        threading.Thread(target=_tick, daemon=True).start()


def refresh() -> None:
    """Bring every strip up to date; does nothing before the first."""
    global _shown
    page = describe_progress(find_kit())
    if page != _shown:
        _shown = page
        if _ticking.is_set():
            update_display(_bundle(), raw=True, display_id=_OUTPUT)


def describe_progress(kit: Kit) -> str:
    """The strip as HTML."""
    journal = read_journal(kit.root)
    chips = ""
    for number, stage in enumerate(kit.stages, 1):
        is_open = journal.unlocked(stage.id)
        state, style = ("✓ open", _DONE) if is_open else ("locked", "")
        title = html.escape(stage.title)
        chips += f'<li style="display:inline-block;{_CHIP};{style}">{number} {title}: {state}</li>'
    points = count_points(journal, [stage.id for stage in kit.stages], kit.points)
    runs = read_runs(kit.root)
    facts = [_describe_runs(runs), f"{points} {'point' if points == 1 else 'points'}"]
    left = minutes_left(journal, kit.minutes)
    if left is not None:
        facts.append(f"{left} of {kit.minutes} minutes left" if left else f"the {kit.minutes} minutes are over")
    late = find_lateness(kit, journal)
    return (
        f"<div>{draw_mark(kit.mark)} <b>{html.escape(kit.group)}</b>, the {kit.mark.name}"
        f'<ul aria-label="Stages" style="list-style:none;margin:0;padding:0">{chips}</ul>'
        f"<div>{html.escape(' · '.join(facts))}</div>"
        f"{f'<div><strong>⏱ {html.escape(late.text[0].upper() + late.text[1:])}</strong></div>' if late else ''}"
        f"<div>Next: {_describe_step(*next_step(kit, runs))}</div></div>"
    )


def _describe_step(command: str, remark: str) -> str:
    """In the notebook nobody types answers, nor hands in by a command: forms do."""
    if command.startswith("lab unlock"):
        return html.escape(f"answer the questions in the form below ({remark.removeprefix('with ')})")
    if command == "lab handin":
        return html.escape("press the button 'Hand in' below" + (f" {remark}" if remark else ""))
    text = f"<code>{html.escape(spell_commands(command))}</code>"
    return text + (f" ({html.escape(remark)})" if remark else "")


def _describe_runs(runs: list[Run]) -> str:
    finished = best_runs(runs)
    if not finished:
        return "no run yet"
    best, count = finished[0], f"{len(finished)} run" if len(finished) == 1 else f"{len(finished)} runs"
    return f"{count}, the best: {best.name} with balanced accuracy {best.metrics['best_balanced_accuracy']:.3f}"


def _bundle() -> dict[str, str]:
    return {"text/html": _shown, "text/plain": "(where you stand: lab status)"}


def _tick() -> None:
    while not sys.is_finalizing():
        threading.Event().wait(_TICK_S)
        try:
            refresh()
        except Exception:  # the kit is being moved, a file is half copied: the next tick will see
            continue
