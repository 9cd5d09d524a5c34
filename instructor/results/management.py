"""How well a group has managed its experiments, read from its runs: six questions, each answered in one line.

    for check in check_management(runs, opinions, "group-3"):
        print(f"{check.share:.0%}  {check.line}")

`runs` are a group's rows of the tidy table (`runs_table.py`). What nobody was asked for (a sentence, a bet, a review)
is no question.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from instructor.results.opinions import Opinions
from instructor.results.settings import choice_keys

BASELINE = "baseline"
_DEFAULT = "default"  # what a run is called that nobody has named (lab_code/conf/train.yaml)
_SAME = 1e-9  # of two scores


@dataclass(frozen=True)
class Check:
    """One question: which share of its points a group gets (0 to 1), and why."""

    name: str
    share: float
    line: str


def check_management(runs: pd.DataFrame, opinions: Opinions, group: str, baseline: str = BASELINE) -> list[Check]:
    """All questions that were put to this class. `runs`: the group's rows of the tidy table, oldest first.

    `baseline` is the experiment that the others are compared with.
    """
    own = runs[runs["relay"] == ""]  # what was made from another group's card says nothing of this one
    finished = own[(own["status"] == "FINISHED") & own["validation_balanced_accuracy"].notna()]
    asked: list[Check] = [_check_baseline(finished, baseline), *(check(finished) for check in _CHECKS)]
    asked.append(_check_repeats(finished, opinions.repeats))
    if opinions.sentences is not None:
        asked.append(_check_sentence(opinions.written_by(group)))
    if opinions.bets is not None:
        asked.append(_check_bets(finished, opinions, group))
    if opinions.reviews is not None:
        reviewed = opinions.has_reviewed(group)
        line = "reviewed another group's runs" if reviewed else "handed in no review of another group's runs"
        asked.append(Check("a review", float(reviewed), line))
    return asked


def fingerprints(runs: pd.DataFrame) -> pd.Series:
    """The choices of every run as one text: equal texts are the same settings, whatever the seed."""
    texts = ["|".join(map(str, row)) for row in runs[list(choice_keys())].itertuples(index=False)]
    return pd.Series(texts, index=runs.index, dtype=object)


def _check_baseline(runs: pd.DataFrame, baseline: str) -> Check:
    name = "a baseline first"
    if runs.empty:
        return Check(name, 0, "no run has finished")
    first = runs.iloc[0]["run"]
    if baseline.casefold() in first.casefold():
        return Check(name, 1, f"the first run was the baseline ({_quote(first)})")
    later = runs[runs["run"].str.casefold().str.contains(baseline.casefold(), regex=False)]
    if len(later):
        return Check(name, 0.5, f"a baseline came, but only after {_quote(first)}")
    return Check(name, 0, f"no run is called {baseline}; the first was {_quote(first)}")


def _check_one_change(runs: pd.DataFrame) -> Check:
    name, marks = "one change at a time", fingerprints(runs)
    own = runs[~runs["given"] & ~marks.duplicated()].iloc[:]
    own = own[own["changes"] > 0]
    if own.empty:
        return Check(name, 0, "no experiment of its own after the first run")
    single = int((own["changes"] == 1).sum())
    if single == len(own):
        what = f"its own experiment changed one thing ({own.iloc[0]['changed']})" if single == 1 else (
            f"each of its {single} own experiments changed one thing"
        )  # fmt: skip
        return Check(name, 1, what)
    worst = own.loc[own["changes"].idxmax()]
    return Check(
        name,
        single / len(own),
        f"{single} of {len(own)} own experiments changed one thing; {_quote(worst['run'])} changed {worst['changes']}",
    )


def _check_seeds(runs: pd.DataFrame) -> Check:
    name, marks = "more than one seed", fingerprints(runs)
    if marks.nunique() < 2:
        return Check(name, 0, "only one setting was tried, so no difference could be claimed")
    seeds = runs.groupby(marks)["seed"].nunique()
    best = marks[_best(runs)]
    if seeds[best] > 1:
        return Check(name, 1, f"the best settings ran with {seeds[best]} seeds")
    if seeds.max() > 1:
        return Check(name, 0.5, "some settings ran with several seeds, but not the best ones")
    return Check(
        name, 0, f"{len(seeds)} settings were compared with one seed each: chance may have made the difference"
    )


def _check_names(runs: pd.DataFrame) -> Check:
    name = "runs with names"
    if runs.empty:
        return Check(name, 0, "no run has finished")
    different = fingerprints(runs).groupby(runs["run"]).nunique()
    ambiguous = set(different[different > 1].index)
    named = [run not in ambiguous and run != _DEFAULT for run in runs["run"]]
    if all(named):
        return Check(name, 1, "every run has a name that says which it is")
    unnamed = runs["run"][[not good for good in named]]
    what = f"{unnamed.iloc[0]!r}" if unnamed.nunique() == 1 else f"{unnamed.nunique()} names"
    why = "which says nothing" if set(unnamed) == {_DEFAULT} else "which stands for different settings, or says nothing"
    return Check(name, sum(named) / len(named), f"{len(unnamed)} of {len(named)} runs are called {what}, {why}")


def _check_repeats(runs: pd.DataFrame, repeated: Mapping[str, str]) -> Check:
    """By the group's own repetitions, and by that of the instructor, where there is one."""
    name = "a best run that repeats"
    if runs.empty:
        return Check(name, 0, "no run has finished")
    best = runs.loc[_best(runs)]
    if repeated.get(best["run_id"]) == "same":
        return Check(name, 1, f"{_quote(best['run'])} was made again from its record, the same to the last digit")
    same = (runs["repeats"] == best["run_id"]) | (
        (fingerprints(runs) == fingerprints(runs)[best.name]) & (runs["seed"] == best["seed"])
    )
    if best["repeats"]:
        same |= runs["run_id"] == best["repeats"]
    again = runs[same & (runs.index != best.name)]
    if again.empty:
        return Check(name, 0, f"{_quote(best['run'])} was made once, and never again")
    off = float((again["validation_balanced_accuracy"] - best["validation_balanced_accuracy"]).abs().min())
    if off < _SAME:
        return Check(name, 1, f"{_quote(best['run'])} was made again and gave the same score")
    return Check(name, 0.5, f"{_quote(best['run'])} was made again, and its score differs by {off:.3f}")


def _check_sentence(sentences: list[str]) -> Check:
    if sentences:
        return Check("the sentence", 1, "wrote down in a sentence what it found")
    return Check("the sentence", 0, "wrote no sentence about what it found")


def _check_bets(runs: pd.DataFrame, opinions: Opinions, group: str) -> Check:
    bet_on = {row.get("run_id", "") for row in opinions.bets_of(group)}
    own = runs[runs["repeats"] == ""]
    count = int(own["run_id"].isin(bet_on).sum()) if bet_on - {""} else min(len(bet_on), len(own))
    share = count / len(own) if len(own) else 0.0
    return Check("a bet before the run", share, f"bet on the result of {count} of {len(own)} runs before they began")


def _best(runs: pd.DataFrame) -> int:
    """The index of the run that the group is ranked by; of its best one where none could be scored."""
    counted = runs.index[runs["counts"]]
    return counted[0] if len(counted) else runs["validation_balanced_accuracy"].idxmax()


def _quote(name: str) -> str:
    return f"'{name}'"


_CHECKS: tuple[Callable[[pd.DataFrame], Check], ...] = (
    _check_one_change,
    _check_seeds,
    _check_names,
)
