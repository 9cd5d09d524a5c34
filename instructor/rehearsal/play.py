"""A group follows the script: reads, takes the steps, and does what its behaviours do before and after them.

    play(player, {"before train 2": [close_lid]}, advance)

When the kit says that the group is late, or that the end is near, the group does what the kit says: it asks for a
rescue code, or hands in. As the last section begins, the instructor asks everybody to hand in, and nobody reads any
further.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from instructor.rehearsal.player import PEOPLE, Player
from instructor.rehearsal.script import HANDING_IN, READ, ScriptSection, Step, name_section, plan_sections, write_script
from instructor.rehearsal.steps import STEPS
from lab_code.workshop.clock import find_lateness
from lab_code.workshop.plan import UNLOCK, Delay
from lab_code.workshop.progress import read_journal

Action = Callable[[Player], bool | None]  # True: the step is done, and not to be taken any more
Actions = Mapping[str, Sequence[Action]]  # `before unlock 2`, `after train 1`, `before hand in` -> what happens then

LATE = "late"
_LOOK_EVERY_MIN = 0.25  # at the strip in the notebook
_BEGIN = "from pathlib import Path; from lab_code.workshop.clock import begin_sitting; begin_sitting(Path.cwd())"


def play(player: Player, actions: Actions, advance: Callable[[], object] = lambda: None) -> None:
    """From sitting down to handing in; `advance` is called after every step."""
    _act(player, actions, "begin")
    # What the first cell of the starter notebook does.
    player.must(player.run(["-c", _BEGIN], "opens the notebook"), "opening the notebook")
    for number, part in enumerate(write_script(player.scene.workshop, player.kit)):
        player.section = number
        for step in part.steps:
            if step.kind == READ:
                _read(player, part)
            elif _is_to_do(player, step):
                if not _act(player, actions, f"before {step.moment}"):
                    STEPS[step.kind](player, step)
                _act(player, actions, f"after {step.moment}")
            advance()


def _act(player: Player, actions: Actions, moment: str) -> bool:
    """What behaviours do at this moment; whether one of them has done the step."""
    return any([bool(action(player)) for action in actions.get(moment, ())])


def _is_to_do(player: Player, step: Step) -> bool:
    if player.is_skipping:
        return step.kind == HANDING_IN
    return not (step.kind == UNLOCK and step.name in player.opened)


def _read(player: Player, part: ScriptSection) -> None:
    """Read and talk, until the kit says that it has taken too long, or the instructor that it is time to hand in."""
    is_last = part.steps[-1].kind == HANDING_IN
    if player.is_skipping and not is_last:
        return
    minutes = part.section.minutes * player.scene.workshop.rehearsal.people
    minutes *= player.pace if part.is_reading else 1
    for look in range(0 if is_last else math.ceil(minutes / _LOOK_EVERY_MIN)):
        elapsed = look * _LOOK_EVERY_MIN
        delay = _find_delay(player, elapsed) if part.section.command == UNLOCK else None
        called = player.clock + elapsed >= _last_call(player)
        if called or delay is not None:
            player.spend(elapsed, PEOPLE, "reads and talks")
            _hand_in_now(player, part) if called or delay is None else _obey(player, part, delay)
            return
    player.spend(minutes, PEOPLE, "reads and talks")


def _last_call(player: Player) -> float:
    """The minute at which the last section begins, and the instructor asks everybody to hand in."""
    return sum(section.minutes for section in plan_sections(player.scene.workshop)[:-1])


def _find_delay(player: Player, elapsed: float) -> Delay | None:
    """What the strip in the notebook says so many minutes from now, if it says what else to do."""
    now = datetime.fromtimestamp(player.now() + 60 * elapsed, UTC)
    delay = find_lateness(player.kit, read_journal(player.root), now)
    return delay if delay is not None and (delay.hand_in or "rescue code" in delay.text) else None


def _hand_in_now(player: Player, part: ScriptSection) -> None:
    player.happen(LATE, f"is not done with '{name_section(part.section)}'", "the instructor asks all to hand in", True)
    player.is_skipping = True


def _obey(player: Player, part: ScriptSection, delay: Delay) -> None:
    """Hear it from the real command, and do what it says."""
    told, late = "time:" in player.lab("status").out, "late" in delay.text
    player.happen(LATE, f"is {'late' if late else 'not done'} with '{part.section.until}'", delay.text, coped=told)
    if delay.hand_in:
        player.is_skipping = True
    else:
        player.rescue(player.kit.stage(part.section.name))
