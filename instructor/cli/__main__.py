"""`python -m instructor.cli`: the command `instructor` where it is not installed."""

import sys

from instructor.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
