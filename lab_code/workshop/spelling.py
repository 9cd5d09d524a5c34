"""How `lab …` must be typed where somebody reads about it: with or without the `./` of a kit's own launcher."""

import os
import re
import sys
from pathlib import Path

SPELLED = "LAB_SPELLED"  # in the environment of a notebook: `lab` or `./lab`
# Of `lab`, as `spell_commands` finds them in a text.
_COMMANDS = (
    "status|start|ui|doctor|feedback|review|unlock|hint|data|train|resume|repeat|sweep|compare|predict"
    "|bet|sentence|handin"
)


def spell_commands(text: str) -> str:
    """`lab …` as it must be typed here: `./lab …` for people who called the kit's launcher without an environment."""
    own = Path(sys.argv[0])  # in a notebook it is the kernel's; `lab start` has noted how it was called itself
    launcher = own.name == "lab" and own.parent.name not in ("bin", "Scripts") and os.name != "nt"
    if not launcher and os.environ.get(SPELLED) != "./lab":
        return text
    return re.sub(rf"(?<![\w/.-])lab (?=({_COMMANDS})\b)", "./lab ", text)
