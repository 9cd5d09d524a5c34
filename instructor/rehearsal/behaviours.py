"""What groups do that a class has to cope with: a table of behaviours, a few small actions each.

    BEHAVIOURS["closes-lid"].at       {"before train": close_lid}

A moment is `begin`, or `before` and `after` a step: `unlock 2`, `train 1`, `own`, `hand in`. An action is a function of
the player (`player.py`): it types commands, compares what they say with what they should say, and tells by `happen`
whether the kit coped. One that returns True has done the step itself. A new behaviour is a function or two and an entry
at the end of this file; `cast.py` spreads all of them over the groups.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from instructor.rehearsal.launcher import STOPPED, Done
from instructor.rehearsal.play import Action
from instructor.rehearsal.player import PEOPLE, TRAINING, Player
from instructor.rehearsal.steps import bet, finish_training, make_wrong_answers
from lab_code.tracking.running import CHECKPOINTS

PERFECT = "perfect"
_DAY_S = 86_400
_LONG_ENOUGH = 12  # epochs of a training that is to be killed in its middle
_EDITED = "lab_code/conf/trainer/default.yaml"
_BROKEN = "lab_code/losses/cross_entropy.py"


@dataclass(frozen=True)
class Behaviour:
    """`does` says it in words. `excludes`: what the same group cannot do as well; `others`: how many it needs."""

    does: str
    at: Mapping[str, Action] = field(default_factory=dict)
    excludes: tuple[str, ...] = ()
    others: int = 0
    stages: int = 0  # how many the workshop must have


def _is_plain(done: Done) -> bool:
    """Whether an error is one that people can read."""
    said = done.out + done.err
    return "Traceback" not in said and "unexpected" not in said


# ── slow reader ──


def read_slowly(player: Player) -> None:
    player.pace = player.scene.workshop.rehearsal.slow


# ── guesses wrong ──


def guess(player: Player) -> bool:
    """Three wrong lists in a row, the third one too early; then a hint, then the rescue code, as the run sheet says."""
    stage = player.kit.stages[0] if len(player.kit.stages) == 1 else player.kit.stages[1]
    number, tries = player.kit.number(stage), []
    for attempt in (1, 2, 3):
        player.spend(0.5, PEOPLE, "guesses")
        done = player.unlock(stage, make_wrong_answers(player, stage, attempt))
        tries.append(done.code == 1 and f"(attempt {player.wrong.get(stage.id)})" in done.err)
    paused = "the next try waits" in done.err
    answer = f"three lists are counted and open nothing{', a pause comes between them' if paused else ''}"
    player.happen("guesses-wrong", f"types three wrong lists for stage {number}", answer, all(tries) and paused)
    hint = player.hint(stage, 1)
    rescued = player.rescue(stage)
    said = "a hint, and the rescue code opens the stage" if rescued else "the stage stays locked"
    player.happen("guesses-wrong", f"is stuck in stage {number}", said, not hint.code and rescued)
    return True


# ── closes the lid ──


def close_lid(player: Player) -> bool:
    """A training is killed after its first epoch, and goes on with `lab resume`."""
    name = _experiment(player)
    bet(player, name)
    epochs = [f"trainer.epochs={_LONG_ENOUGH}"] * bool(player.scene.epochs)
    folder, epoch = player.root / CHECKPOINTS, "*/*.safetensors"
    before = set(folder.glob(epoch))
    killed = player.train(
        f"experiment={name}", *epochs, share=0.5, kill_when=lambda: bool(set(folder.glob(epoch)) - before)
    )
    if killed.code != STOPPED:
        player.must(killed, f"training {name}")
        player.happen("closes-lid", "closes the lid too late", "the run was finished already", not killed.code)
        finish_training(player, 2)
        return True
    told = "lab resume" in player.lab("status").out
    done = player.keep_run(player.lab("resume", seconds=player.scene.training_s(0.5), kind=TRAINING))
    answer = "lab status says how to go on, lab resume does" if told else f"lab resume: {done.said}"
    player.happen("closes-lid", f"closes the lid in the middle of {name}", answer, told and not done.code)
    finish_training(player, 2)
    return True


def _experiment(player: Player) -> str:
    """The newest experiment that a stage has brought."""
    names = [path.rpartition("/")[2].removesuffix(".yaml") for stage in player.kit.stages for path in stage.opens
             if "/experiment/" in path and (player.root / path).is_file()]  # fmt: skip
    return names[-1]


# ── edits files badly ──


def edit_badly(player: Player) -> None:
    """Code that is no Python any more, then settings that are no YAML: both are named, and brought back."""
    for path, text in ((_BROKEN, "\ndef loss(:\n"), (_EDITED, "\nepochs 10: [\n")):
        place = player.root / path
        place.write_text(place.read_text(encoding="utf-8") + text, encoding="utf-8")
        player.spend(0.5, PEOPLE, "edits")
        done = player.lab("train", f"experiment={_experiment(player)}")
        named = place.name in done.err and done.code == 1 and _is_plain(done)
        player.happen("edits-badly", f"breaks {path}", done.said, named)
    found = _ask_doctor(player).get("kit files", {})
    seen = all(path in str(found.get("found")) for path in (_EDITED, _BROKEN))
    player.happen("edits-badly", "asks lab doctor", str(found.get("found", "it says nothing")), seen)
    for path in (_EDITED, _BROKEN):  # from the stick, as doctor and instructor say
        shutil.copyfile(player.scene.build / "kits" / player.group / path, player.root / path)


def _ask_doctor(player: Player) -> dict[str, dict[str, object]]:
    """What `lab doctor` says, by the name of the check."""
    done = player.lab("doctor", "--json")
    try:
        return {check["name"]: check for check in json.loads(done.out)["checks"]}
    except (ValueError, KeyError, TypeError):
        return {}


# ── wrong clock ──


def set_clock_back(player: Player) -> None:
    """The laptop believes that it is a year and a bit earlier."""
    player.clock_error_s = -400 * _DAY_S
    check = _ask_doctor(player).get("clock", {})
    coped = check.get("ok") is False and "clock" in str(check.get("fix"))
    player.happen("wrong-clock", "has a clock that is 400 days late", str(check.get("fix", "nobody says so")), coped)


def set_clock_right(player: Player) -> None:
    """Somebody sets it right in the middle of the class: time jumps, and the work of before is still there."""
    player.clock_error_s = 0.0
    done = player.lab("status")
    there = all(run in done.out for run in player.trained) and not done.code
    player.happen("wrong-clock", "sets its clock right in the middle", "stages and runs are all there", there)


# ── hand-ins ──


def hand_in_again(player: Player) -> None:
    """Says what it thinks, and hands in once more, as the notebook asks."""
    said = player.lab("feedback", "--clear", "4", "--learned", "5", "--pace", "3", "--good", "the locks")
    player.must(said, "giving feedback")
    done = player.hand_in()
    coped = not done.code and len(set(player.zips)) == len(player.zips) > 1
    player.happen("hands-in-twice", "hands in twice", f"{len(set(player.zips))} zips, the newest counts", coped)


def damage_zip(player: Player) -> None:
    """Its stick is pulled out too early."""
    player.is_damaged = True


def forget_hand_in(player: Player) -> bool:
    """Closes the laptop and goes."""
    return True


# ── swaps laptops ──


def swap_laptops(player: Player) -> None:
    """The laptop dies after the first run; the group hands in what it has, and goes on at a spare one."""
    player.must(player.hand_in(), "handing in before the laptop is changed")
    spare = player.scene.folder / "spare" / player.group
    zips = [str(path) for path in player.zips[-1:]]
    done = player.instructor(
        "swap", "--group", player.group, "--to", str(spare), *(["--handin", *zips] if zips else [])
    )
    if not player.must(done, "changing the laptop"):
        return
    player.root = spare
    status = player.lab("status")
    there = not status.code and all(run in status.out for run in player.trained)
    stages = [stage.title for stage in player.kit.stages if stage.id in player.opened]
    opened = all(re.search(rf"{re.escape(title)}\s+open", status.out) for title in stages)
    answer = f"{len(player.trained)} runs and {len(stages)} open stages are on the other one"
    player.happen("swaps-laptops", "goes on at another laptop", answer, there and opened)


# ── tries another group's answers ──


def try_others_answers(player: Player) -> None:
    """The neighbours have their stage open, and read their answers aloud."""
    stage = player.kit.stages[0]
    for group, entries in player.scene.key.items():
        theirs = next(entry["answers"] for entry in entries if entry["stage"] == stage.id)
        if group != player.group and theirs != player.answers(stage.id):
            done = player.unlock(stage, theirs)
            coped = done.code == 1 and stage.id not in player.opened and _is_plain(done)
            player.happen("tries-others-answers", f"types the answers of {group}", done.said, coped)
            return


_LAST = "hand in"
BEHAVIOURS: dict[str, Behaviour] = {
    PERFECT: Behaviour("does everything right"),
    "never-hands-in": Behaviour(
        "never hands in", {f"before {_LAST}": forget_hand_in}, excludes=("swaps-laptops",), others=1
    ),
    "slow-reader": Behaviour("reads slowly", {"begin": read_slowly}),
    "guesses-wrong": Behaviour("guesses until it is stuck", {"before unlock 2": guess}, stages=2),
    "closes-lid": Behaviour("closes the lid in the middle of training", {"before train 2": close_lid}, stages=2),
    "edits-badly": Behaviour("edits files badly", {"before train 1": edit_badly}),
    "wrong-clock": Behaviour("has a wrong clock", {"begin": set_clock_back, "after train 1": set_clock_right}),
    "hands-in-twice": Behaviour("hands in twice", {f"after {_LAST}": hand_in_again}, excludes=("never-hands-in",)),
    "damaged-zip": Behaviour("hands in a damaged zip", {f"after {_LAST}": damage_zip}, excludes=("never-hands-in",)),
    "swaps-laptops": Behaviour("goes on at another laptop", {"after train 1": swap_laptops}),
    "tries-others-answers": Behaviour(
        "tries another group's answers", {"before unlock 1": try_others_answers}, others=1
    ),
}


def describe_behaviours(names: Sequence[str]) -> str:
    """`reads slowly, hands in twice`."""
    return ", ".join(BEHAVIOURS[name].does for name in names)
