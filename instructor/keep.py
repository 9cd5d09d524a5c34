"""What takes seconds to find out and follows from the project alone: found out once, and kept in `instructor/kept/`.

    python -m instructor.keep      # after a change of a network, of lab_code/conf, or of a version in constraints.txt

`networks.json` answers what the quiz bank asks about networks (`quizbank/networks.py`), `mlflow-<version>.sql` makes a
kit's empty store (`provision/store_script.py`), `doctor.lab` is the lock that `lab doctor` tries, whose answers are no
secret (`provision/kit_locks.py`). Each counts only for exactly what it was found out of; where it does not, a build
finds out for itself, which takes it some seconds.
"""

from pathlib import Path

from instructor.locks.lock import write_lock
from instructor.provision.kit_locks import TEST_BROUGHT, TEST_FILES, describe_test_lock
from instructor.provision.store_script import BROUGHT
from instructor.quizbank.bank import load_bank
from instructor.quizbank.networks import KEPT, write_kept
from instructor.workshop import read_workshop
from lab_code.files import write_whole
from lab_code.tracking.empty_store import script_name
from lab_code.tracking.tracker import describe_empty_store


def main() -> None:
    """Write all three files anew, and remove those of other versions."""
    import torch  # noqa: F401  # networks are then tried out here

    workshop = read_workshop()
    for path in BROUGHT.glob("*"):
        path.unlink()
    load_bank(workshop)
    write_kept(BROUGHT / KEPT)
    write_whole(BROUGHT / Path(script_name()).name, describe_empty_store())
    write_whole(TEST_BROUGHT, write_lock(*describe_test_lock(workshop), TEST_FILES))


if __name__ == "__main__":
    main()
