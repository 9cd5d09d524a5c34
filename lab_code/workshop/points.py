"""Points for opening stages, and the price of hints: the rules are the instructor's, the journal keeps the account."""

from dataclasses import dataclass

from lab_code.workshop.progress import Journal


@dataclass(frozen=True)
class PointRules:
    """What a stage is worth, by its answers and by a rescue code, and what each further hint to a question costs."""

    stage: int = 10
    rescued: int = 4
    hints: tuple[int, ...] = (1, 2)

    def price(self, number: int) -> int:
        """The price of the hint with this number, counted from 1; the last price holds for all that follow."""
        return self.hints[min(number, len(self.hints)) - 1] if self.hints else 0


def count_points(journal: Journal, stages: list[str], rules: PointRules) -> int:
    """What a group has now; never below zero. Only the first opening of a stage counts, and every hint once."""
    earned = sum(earned_by(journal, stage, rules) for stage in stages)
    return max(0, earned - spent_on_hints(journal, None, rules))


def earned_by(journal: Journal, stage: str, rules: PointRules) -> int:
    """What opening this stage has brought; 0 while it is locked."""
    first = journal.of("unlocked", stage)[:1]
    return sum(rules.rescued if event.get("by") == "rescue" else rules.stage for event in first)


def spent_on_hints(journal: Journal, stage: str | None, rules: PointRules) -> int:
    """What hints have cost, in one stage or (None) in all."""
    events = journal.of("hint", stage)
    taken = {(str(e.get("question")), number) for e in events if isinstance(number := e.get("number"), int)}
    return sum(rules.price(number) for _, number in taken if number >= 1)
