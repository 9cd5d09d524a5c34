"""`python -m instructor.cli`: the command `instructor` where it is not installed."""

if __name__ == "__main__":  # the processes that draw photographs read this file, and need nothing of it
    import sys

    from instructor.cli.app import main

    sys.exit(main())
