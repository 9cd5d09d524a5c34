"""The forms for what a group says: a bet before each run, the honest sentence after both, the answers of a duel.

bet("baseline")    # before the run; beside the result, once there is one
bet("own")         # the prediction for the group's own experiment
sentence()         # what was changed, what it did, what one cannot conclude
duel()             # what the ten photographs on the wall are; duel(8) where there are eight
"""

import weakref
from typing import Any

import traitlets

from lab_code.cli.app import main
from lab_code.data.ham10000 import read_dataset
from lab_code.notebook.command_form import CommandForm, Field, Values
from lab_code.tracking.runs import read_runs
from lab_code.workshop.duel import DATA, MOST, USUAL, describe_answers, list_choices
from lab_code.workshop.kit import Kit, find_kit
from lab_code.workshop.statements import (
    OWN,
    SCORE,
    describe_result,
    experiments_of,
    find_result,
    read_statements,
    runs_of,
)

_shown: "weakref.WeakSet[BetForm]" = weakref.WeakSet()


class BetForm(CommandForm):
    """A bet on a run. Once that is finished, `outcome` holds the bet and what came out, in the place of the form."""

    outcome = traitlets.Dict().tag(sync=True)

    def __init__(self, kit: Kit, run: str) -> None:
        self._kit, self._run = kit, run
        own = [Field("change", "line", "Which one thing do you change?")] if run == OWN else []
        chance = 1 / len(read_dataset(kit.root / "data"))
        scale = f"{chance:.3f} is what always saying the same reaches, 1 is everything right"
        score = Field("score", "share", "Balanced accuracy will be …", note=scale)
        why = Field("why", "line", "Why? A few words.", optional=True)
        title = "Your prediction for your own experiment" if run == OWN else f"Your bet on {run}, before it is trained"
        super().__init__(title, [*own, score, why], "Bet", self._make_bet, self.look)
        placed = read_statements(kit.root).bet_on(run)
        if placed is not None:
            self.values = {"score": f"{placed.score:g}", "why": placed.why, "change": placed.change}
            self.said = f"Your bet is kept: balanced accuracy {placed.score:.3f}."
        self.done = self.look()
        _shown.add(self)

    def look(self) -> str:
        """What to show instead of the form: the result beside the bet; empty before there is one."""
        placed, runs = read_statements(self._kit.root).bet_on(self._run), read_runs(self._kit.root)
        experiments = experiments_of(self._kit)
        if placed is None:
            done = [run for run in runs_of(self._run, runs, experiments) if SCORE in run.metrics][:1]
            return "".join(f"{run.name} is finished: {run.metrics[SCORE]:.3f}, without a bet." for run in done)
        result = find_result(placed, runs, experiments)
        if result is None:
            return ""
        score = result.metrics[SCORE]
        self.outcome = {"bet": placed.score, "result": score, "why": placed.why, "change": placed.change}
        return f"{result.name}: balanced accuracy {score:.3f}; {describe_result(placed, score)}."

    def _make_bet(self, values: Values) -> list[str]:
        texts = [word for name in ("change", "why") if values.get(name) for word in (f"--{name}", values[name])]
        return ["bet", self._run, values["score"], *texts]


def bet(run: str) -> BetForm:
    """A slider for the balanced accuracy that the run will reach, and why; `own` is the group's own experiment."""
    return BetForm(find_kit(), run)


def sentence() -> CommandForm:
    """One honest sentence about the two experiments; a later one takes its place."""
    fields = [Field("text", "lines", "What was changed, what did it do (a number), and what can you not conclude?")]
    form = CommandForm("Your honest sentence", fields, "Keep it", lambda values: ["sentence", "--", values["text"]])
    kept = read_statements(find_kit().root).sentence
    if kept:
        form.values = {"text": kept}
        form.said = "This sentence is kept, and goes with the hand-in."
    return form


def duel(photographs: int = USUAL) -> CommandForm:
    """What the numbered photographs on the wall are, and the code beside them; what is sent stands."""
    kit = find_kit()
    main(["duel"])
    options = tuple((str(choice.number), str(choice.number)) for choice in list_choices(kit.root / DATA))
    names = [f"photograph {number}" for number in range(1, min(max(1, photographs), MOST) + 1)]
    fields = [Field("code", "line", "The code on the wall"), *(Field(name, "one", name, options) for name in names)]

    def make_argv(values: Values) -> list[str]:
        return ["duel", values["code"], "--answers", ",".join(values[name] for name in names)]

    form = CommandForm("Human against machine", fields, "Send our answers", make_argv)
    kept = read_statements(kit.root).duel
    if kept is not None:
        form.said = f"Your answers to {kept.code} are kept: {describe_answers(kit, kept)}."
    return form


def look_again(*_: Any) -> None:
    """Let every bet that is shown see whether its run is finished."""
    for form in list(_shown):
        if not form.done:
            form.done = form.look()
