"""Kahoot's players into groups, a review first, group scores only at the end.

    review = review_players(report, aliases, groups)       # who is matched, who is not, who is there more than once
    ranking = rank_groups(review, groups, teams="mean")    # shared ranks for ties

Several lines of one group are either people who played side by side, a team, or one device that dropped out and came
back under another name. The first answered the same questions, the second different ones.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from instructor.quizbank.group_names import IGNORED, guess_group, spell_name
from instructor.quizbank.kahoot_report import Player, Report

MEAN, SUM = "mean", "sum"


@dataclass(frozen=True)
class Review:
    """Players by group before anything is counted; `devices` is how many played at the same time for a group."""

    groups: dict[str, list[Player]]
    unmatched: list[Player]
    ignored: list[Player]  # the table says that they do not count
    missing: list[str]
    devices: dict[str, int] = field(default_factory=dict)
    unsure: tuple[str, ...] = ()  # groups with several lines, of which the report does not say what they answered

    def table(self) -> dict[str, str]:
        """Nickname -> group, `-`, or nothing yet, for the table that an instructor edits."""
        found = {player.nickname: group for group, players in self.groups.items() for player in players}
        found |= {player.nickname: IGNORED for player in self.ignored}
        return {player.nickname: "" for player in self.unmatched} | found

    def notes(self, teams: str) -> list[str]:
        """What several lines of one group were taken for, so that nobody is surprised by its score."""
        notes = []
        for group, players in self.groups.items():
            count, devices = len(players), self.devices[group]
            if devices > 1:
                notes.append(
                    f"{group} is there {count} times and answered the same questions, as a team of {devices}: "
                    f"the {teams} of their scores counts (kahoot_teams in workshop.yaml)"
                )
            if count > devices:
                reason = "the report does not say who answered what" if group in self.unsure else "other questions"
                added = "some of them are" if devices > 1 else "its lines are"
                notes.append(f"{group} is there {count} times (dropped out and came back? {reason}); {added} added up")
        return notes


@dataclass(frozen=True)
class GroupScore:
    """One group's place; equal scores share it."""

    rank: int
    group: str
    score: int


def review_players(report: Report, aliases: dict[str, str], groups: Sequence[str]) -> Review:
    """Match nicknames to groups: by the table `aliases`, or by what `guess_group` makes of the nickname."""
    spelt: dict[str, set[str]] = defaultdict(set)
    for alias, group in aliases.items():
        spelt[spell_name(alias)].add(group)
    matched: dict[str, list[Player]] = defaultdict(list)
    for player in report.players:
        alike = spelt[spell_name(player.nickname)]
        known = aliases.get(player.nickname) or (min(alike) if len(alike) == 1 else None)
        matched[known or guess_group(player.nickname, groups) or ""].append(player)
    unmatched, ignored = matched.pop("", []), matched.pop(IGNORED, [])
    return Review(
        dict(matched), unmatched, ignored, [group for group in groups if group not in matched],
        {group: count_devices(players, report.questions) for group, players in matched.items()},
        tuple(group for group, players in matched.items() if len(players) > 1 and not _is_known(players, report)),
    )  # fmt: skip


def count_devices(players: Sequence[Player], questions: int | None) -> int:
    """How many of a group's lines were there at the same time: the fewest that explain who answered what.

    Lines that share less than half of their questions can be one device that came back. Where only the number of
    answers is known, they can where all of them together fit into the quiz; where not even that is, they are taken so.
    """
    if all(player.answered is not None for player in players):
        return _count_by_answers([player.answered for player in players if player.answered is not None])
    if questions and all(player.answers is not None for player in players):
        return _count_by_numbers([player.answers for player in players if player.answers is not None], questions)
    return 1


def _count_by_answers(answered: list[frozenset[str]]) -> int:
    devices: list[frozenset[str]] = []
    for questions in sorted(answered, key=len, reverse=True):
        fitting = (n for n, taken in enumerate(devices) if 2 * len(taken & questions) < len(questions) or not questions)
        place = next(fitting, None)
        if place is None:
            devices.append(questions)
        else:
            devices[place] |= questions
    return len(devices)


def _count_by_numbers(answers: list[int], questions: int) -> int:
    devices: list[int] = []
    for count in sorted(answers, reverse=True):
        place = next((n for n, taken in enumerate(devices) if taken + count <= questions), None)
        if place is None:
            devices.append(count)
        else:
            devices[place] += count
    return len(devices)


def _is_known(players: Sequence[Player], report: Report) -> bool:
    by_answers = all(player.answered is not None for player in players)
    return by_answers or bool(report.questions and all(player.answers is not None for player in players))


def score_group(review: Review, group: str, teams: str = MEAN) -> int:
    """A group's score: a device that came back is added up; of a team the mean or the sum counts, as `teams` says."""
    total = sum(player.score for player in review.groups.get(group, []))
    devices = review.devices.get(group, 1) if teams == MEAN else 1
    return (2 * total + devices) // (2 * devices)  # rounded half up, as Kahoot rounds


def rank_groups(review: Review, groups: Sequence[str], teams: str = MEAN) -> list[GroupScore]:
    """Groups by their score."""
    totals = {group: score_group(review, group, teams) for group in groups if group in review.groups}
    ranked = [
        GroupScore(1 + sum(other > score for other in totals.values()), group, score) for group, score in totals.items()
    ]
    return sorted(ranked, key=lambda entry: (entry.rank, list(groups).index(entry.group)))
