"""What `workshop.yaml` says of the rehearsal, under `rehearsal`: who behaves how, and how fast people are."""

from dataclasses import dataclass, field


@dataclass
class RehearsalSettings:
    """`people`: the share of a section that a group reads and types; `slow`: and how much longer a slow one takes."""

    people: float = 0.7
    slow: float = 1.4
    groups: dict[str, list[str]] = field(default_factory=dict)  # group -> behaviours; empty: all are spread over all

    def check(self) -> dict[str, bool]:
        """Keys whose values have a range, and whether they lie in it."""
        return {"rehearsal.people": 0 < self.people <= 1, "rehearsal.slow": 1 <= self.slow <= 5}
