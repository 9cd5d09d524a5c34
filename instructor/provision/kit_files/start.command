#!/bin/sh
# Double-click (macOS) or ./start.command: JupyterLab with the starter notebook, and MLflow beside it.
cd "$(dirname "$0")" || exit 1
[ -x .venv/bin/python ] && exec .venv/bin/python lab start  # also on a laptop whose only Python is the kit's
exec ./lab start
