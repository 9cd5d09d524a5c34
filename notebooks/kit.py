"""What a cell of a notebook begins with: `from kit import lab, show`. So every cell works by itself, after any restart.

It finds the kit around this file, puts that kit's `lab_code` before any other, and goes to the kit's folder, from which
all paths are seen. `root` is that folder; the rest is what `lab_code.notebook` offers. Ends in one line that says what
to do where this file is in no kit, or the kernel lacks the packages.
"""

import os
import sys
from pathlib import Path

root = Path(__file__).resolve().parent.parent
if not (root / "kit.json").is_file():
    raise SystemExit(f"{root} is in no kit: open the notebook where it lies, in its kit: ./lab start")
os.chdir(root)
sys.path.insert(0, str(root))

try:
    from lab_code.notebook import *  # noqa: F403
except ModuleNotFoundError as error:
    advice = "choose the kit's own kernel, or begin with: ./lab start"
    raise SystemExit(f"{sys.executable} lacks {error.name}: {advice}") from None
