"""The steps of the half hour, as a group takes them that nothing happens to; `play.py` says when."""

from collections.abc import Callable
from decimal import Decimal

from instructor.rehearsal.player import Player
from instructor.rehearsal.script import HANDING_IN, LOOK, OWN, Step
from lab_code.workshop.kit import Stage
from lab_code.workshop.plan import TRAIN, UNLOCK
from lab_code.workshop.quiz import example_answers, read_questions

_OWN_RATE = 0.002  # of a group's own experiment, times its number: every group's model is another one


def bet(player: Player, run: str) -> None:
    """Bet before the run."""
    score = f"{min(0.95, 0.15 + 0.05 * player.number):.2f}"
    player.must(player.lab("bet", run, score, "--why", "it is a guess"), f"a bet on {run}")


def finish_training(player: Player, number: int) -> None:
    """What follows the second training: compare, and write the sentence."""
    if number == 2:
        player.must(player.lab("compare"), "comparing two runs")
        text = f"{player.number} more of the rare ones than before; several settings differ, so which one did it?"
        player.must(player.lab("sentence", text), "keeping the sentence")


def make_wrong_answers(player: Player, stage: Stage, number: int) -> str:
    """A list that looks right and is wrong, another one for each `number` from 1."""
    asked, right = read_questions(player.kit)[stage.id], player.answers(stage.id).split(",")
    for kind in ("number", "choice"):
        for place, question in enumerate(asked):
            if question.kind == kind:
                options = len(question.options)
                other = (
                    Decimal(right[place]) + number
                    if kind == "number"
                    else (int(right[place]) - 1 + number) % options + 1
                )
                return ",".join([*right[:place], str(other), *right[place + 1 :]])
    return example_answers(asked)


def _look(player: Player, step: Step) -> None:
    player.must(player.lab("data"), "looking at the data")


def _unlock(player: Player, step: Step) -> None:
    stage = player.kit.stage(step.name)
    if not player.must(player.unlock(stage, player.answers(stage.id)), f"opening stage {step.number} by its answers"):
        player.rescue(stage)


def _train(player: Player, step: Step) -> None:
    bet(player, step.name)
    player.must(player.train(f"experiment={step.name}"), f"training {step.name}")
    finish_training(player, step.number)


def _own(player: Player, step: Step) -> None:
    bet(player, "own")
    changes = (f"name=own-{player.number}", f"optimizer.lr={_OWN_RATE * player.number:g}")
    player.must(player.train(f"experiment={step.name}", *changes), "training its own experiment")


def _hand_in(player: Player, step: Step) -> None:
    if player.must(player.hand_in(), "handing in"):
        player.handed_in = player.clock


STEPS: dict[str, Callable[[Player, Step], None]] = {
    LOOK: _look,
    UNLOCK: _unlock,
    TRAIN: _train,
    OWN: _own,
    HANDING_IN: _hand_in,
}
