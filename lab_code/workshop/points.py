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
    opened = {stage: journal.of("unlocked", stage)[:1] for stage in stages}
    earned = sum(rules.rescued if e.get("by") == "rescue" else rules.stage for first in opened.values() for e in first)
    taken = {(str(e.get("question")), number) for e in journal.of("hint") if isinstance(number := e.get("number"), int)}
    return max(0, earned - sum(rules.price(number) for _, number in taken if number >= 1))
