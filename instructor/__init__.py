"""What only instructors have: the workshop's description, the quiz bank, locks, kits, and what comes back."""

from lab_code import main as begin


def main() -> int:
    """The command `instructor`, as it is installed."""
    return begin("instructor.cli.app")
