"""`python -m lab_code.cli`: the command `lab` where it is not installed, and for torchrun."""

import sys

from lab_code.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
