"""A structured training package for photographs: configuration, data, models, training, tracking.

Start reading at `experiment.py`: five paragraphs that name every other part. `conf/` holds what can be changed
without touching code; the command `lab` (in `cli/app.py`) is the way to run it. The models are for teaching only,
never for clinical use.
"""


def main(program: str = "lab_code.cli.app") -> int:
    """The command `lab`, as it is installed: Ctrl-C is heard while the program is still being imported, too."""
    try:
        from importlib import import_module

        return import_module(program).main()
    except KeyboardInterrupt:
        import sys

        print("error: interrupted", file=sys.stderr)
        return 130
