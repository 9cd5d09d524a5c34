"""The commands of `lab` for making a run again: repeat (an own run, or another group's card), and card.

Each parses, calls and prints; torch, mlflow and hydra are imported inside.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lab_code.cli.terminal import escape, make_console, make_table
from lab_code.cli.training import load_run_config, run_and_tell
from lab_code.errors import LabError
from lab_code.workshop.kit import Kit, find_kit, locked_file
from lab_code.workshop.spelling import spell_commands

if TYPE_CHECKING:
    from segno import QRCode

    from lab_code.analysis.card import Card
    from lab_code.analysis.compare import Repetition

CARDS = "cards"
_DOTS = 8  # pixels of a dot in the picture


def add_commands(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (repeat, card):
        app.command()(command)


def repeat(
    run: Annotated[
        str, typer.Argument(help="Name or id of a finished run; or a card of another group: its file, or its text.")
    ],
) -> None:
    """Make a run again from its record, and compare the scores.

    Your own run by its name, or another group's from the card that it has made (lab card).

    Example: lab repeat baseline
    """
    from lab_code.analysis.card import looks_like_card, read_card

    kit = find_kit()
    if looks_like_card(run):
        _repeat_card(kit, read_card(run))
    else:
        _repeat_own(kit, run)


def card(
    run: Annotated[str, typer.Argument(help="Name or id of a finished run.")],
    text: Annotated[bool, typer.Option("--text", help="Print the text of the QR code as well, to be copied.")] = False,
) -> None:
    """Write a card of a run, with which another group can make it again: a small file, and the same as a QR code.

    Where their digits are yours, both groups get points.

    Example: lab card baseline
    """
    from lab_code.analysis.card import card_to_text, make_card, write_card
    from lab_code.analysis.compare import find_run
    from lab_code.limits import plain_name
    from lab_code.tracking.runs import read_runs

    kit, console = find_kit(), make_console()
    chosen = find_run([r for r in read_runs(kit.root) if r.status == "FINISHED" and not r.is_group], run)
    made = make_card(chosen)
    path = kit.root / CARDS / f"{kit.group}-{plain_name(chosen.name, 60)}-{chosen.run_id[:4]}.card"
    size = write_card(path, made)
    line = f"[bold green]Card of run '{escape(chosen.name)}':[/] {path.relative_to(kit.root)}  "
    console.print(f"{line}({size / 1000:.1f} kB, seal {made.seal[:6]})")
    _draw_qr(kit, path, card_to_text(made))
    if text:
        console.print(card_to_text(made), markup=False, soft_wrap=True)
    console.print(f"Bring another group the file; they type: {spell_commands('lab repeat FILE.card')}", markup=False)


def _draw_qr(kit: Kit, path: Path, text: str) -> None:
    """The QR code beside the card's file as PNG and SVG, and in the terminal where that is large enough."""
    import segno

    from lab_code.files import open_whole

    console = make_console()
    try:
        code = segno.make_qr(text, error="l", boost_error=False)
    except segno.DataOverflowError:
        console.print(f"(its {len(text):,} characters fit into no single QR code: bring the file)", style="dim")
        return
    for kind in ("png", "svg"):
        with open_whole(path.with_suffix(f".{kind}")) as file:
            code.save(file, kind=kind, scale=_DOTS if kind == "png" else 4, border=4)
    console.print(f"QR code: {path.with_suffix('.png').relative_to(kit.root)}, and .svg", markup=False)
    width = code.symbol_size(border=4)[0]
    if console.is_terminal and console.width >= width:
        console.print(_draw_in_terminal(code), style="black on white", markup=False)
    elif console.is_terminal:
        console.print(f"(here it needs a terminal {width} characters wide; this one has {console.width})", style="dim")


def _draw_in_terminal(code: "QRCode") -> str:
    """Two rows of dots in one line of characters."""
    rows = [list(row) for row in code.matrix_iter(border=4)]
    if len(rows) % 2:
        rows.append([0] * len(rows[0]))
    signs = {(0, 0): " ", (1, 0): "▀", (0, 1): "▄", (1, 1): "█"}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return "\n".join("".join(signs[bool(a), bool(b)] for a, b in zip(up, low, strict=True)) for up, low in pairs)


def _repeat_own(kit: Kit, run: str) -> None:
    from dataclasses import replace

    from lab_code.analysis.compare import compare_repeat, find_run
    from lab_code.limits import LONGEST
    from lab_code.tracking.runs import read_runs

    first = find_run([r for r in read_runs(kit.root) if r.status == "FINISHED"], run)
    config = load_run_config(kit, first.artifacts)
    run_id = run_and_tell(kit, replace(config, name=f"{first.name[: LONGEST - 7]}-repeat"), {"repeats": first.run_id})
    result = compare_repeat(first, find_run(read_runs(kit.root), run_id))
    _print_result(first.name, result)
    if result.scores and not result.reasons:
        make_console().print("  code, data and machine are the same: this run does not depend on its seed alone")


def _repeat_card(kit: Kit, found: "Card") -> None:
    """Make another group's run, and say whether its digits come out."""
    from lab_code.analysis.card import find_other_code, relay_config
    from lab_code.analysis.compare import compare_repeat, find_run
    from lab_code.tracking.runs import RELAY_GROUP, RELAY_OF, read_runs

    _check_card(kit, found)
    console, other = make_console(), find_other_code(found)
    if other.missing:
        raise locked_file(kit, other.missing[0]) or LabError(
            f"the code of the card's run is {other.describe()}", hint=f"get it from {found.group}"
        )
    if other.changed:
        note = f"note: the code of the card's run is {other.describe()}"
        make_console(stderr=True).print(note, markup=False)
    config, own = relay_config(found), found.group == kit.group
    if own:
        console.print("(this card is your own: repeated by another group it would bring points)", style="dim")
    tags = {"repeats": found.run_id} if own else {RELAY_OF: found.run_id, RELAY_GROUP: found.group}
    run_id = run_and_tell(kit, config, tags)
    result = compare_repeat(found.as_run(), find_run(read_runs(kit.root), run_id))
    _print_result(f"{found.name} of {found.group}", result)
    if result.scores and other.changed:
        console.print(f"  the code is {other.describe()}", markup=False)
    elif result.is_close and not own:
        both = f"It goes with the next hand-in; points for {found.group} and for you, once both have handed in."
        console.print(both, markup=False)


def _check_card(kit: Kit, found: "Card") -> None:
    """Raises `LabError` for a card of another workshop, and for settings that reach for other files."""
    if found.workshop != kit.workshop:
        raise LabError(
            f"the card is of the workshop '{found.workshop}', this kit is of '{kit.workshop}'",
            hint="ask a group of this workshop for a card",
        )
    config = found.config()
    if config.model.weights or Path(config.data.folder).as_posix() != "data":
        raise LabError(
            "the card's run needs files that no card holds (model.weights or data.folder)",
            hint=f"ask {found.group} for a card of another run",
        )


def _print_result(name: str, result: "Repetition") -> None:
    """Whether all scores are the same; where they are not, which, and what could be the reason."""
    console = make_console()
    if not result.compared:
        console.print(f"'{escape(name)}' has no scores that could be compared.")
        return
    if not result.scores:
        console.print(f"[bold green]The same to the last digit:[/] all {result.compared} scores of '{escape(name)}'.")
        return
    if result.is_close:
        console.print(f"[bold green]The same to three digits:[/] all {result.compared} scores of '{escape(name)}'.")
    table = make_table("score", "then", "now", title=f"{len(result.scores)} of {result.compared} scores differ")
    for score, then, now in result.scores:
        table.add_row(score, f"{then:.9g}", f"{now:.9g}")
    console.print(table)
    for key, before, after in result.reasons:
        console.print(f"  {key}: {before} then, {after} now", markup=False)
