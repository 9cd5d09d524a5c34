"""What JupyterHub runs for a user: put the group's kit into the user's folder, then become the kit's own page.

The kit is copied on the first start. Later ones bring it up to date by the rules of every delivery (`plan.py` beside
this file): what lies there as it was shipped gives way, what the group made or changed stays. What the hub has to say
about that is in its log. Where the kit cannot be brought up to date, the one that is there is opened.
"""

import os
import sys
from pathlib import Path

SOURCE = Path(os.environ["LAB_KIT_SOURCE"])
HOME = Path(os.environ["HOME"])
KIT = HOME / os.environ["LAB_KIT_GROUP"]

# The rules of delivering lie beside this file, the rest of the code in the kit.
sys.path[:0] = [str(Path(__file__).resolve().parent), str(SOURCE)]

from instructor.deliver.cargo import read_kit_cargo  # noqa: E402
from instructor.deliver.folder import deliver  # noqa: E402
from instructor.deliver.plan import STAGING, describe_left  # noqa: E402
from lab_code.errors import LabError  # noqa: E402


def main() -> None:
    """Bring the kit, and become the user's server."""
    os.umask(0o077)  # other accounts of this computer have no business here
    if not _is_current():
        _bring()
    os.chdir(KIT)
    os.execv(sys.executable, [sys.executable, "-m", "lab_code.workshop.hub_page"])


def _is_current() -> bool:
    """Whether this very kit was put here, whole: then nothing has to be read."""
    try:
        same = (KIT / "kit.json").read_bytes() == (SOURCE / "kit.json").read_bytes()
    except OSError:
        return False
    return same and not (KIT / STAGING).exists()


def _bring() -> None:
    try:
        plan = deliver(read_kit_cargo(SOURCE), KIT)
        for key in (KIT / ".lab").glob("*.key"):  # the hub's copy can be read by whoever knows its folder
            key.chmod(0o600)
        for line in describe_left(plan):
            print(f"{KIT.name}: {line}", file=sys.stderr)
    except (LabError, OSError) as error:
        print(f"error: the kit cannot be put into {KIT}: {error}", file=sys.stderr)
        if not (KIT / "kit.json").is_file():
            raise SystemExit(1) from error


if __name__ == "__main__":
    main()
