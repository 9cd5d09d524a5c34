#!/bin/sh
# Double-click (macOS) or ./start.command: JupyterLab with the starter notebook, and MLflow beside it.
cd "$(dirname "$0")" && exec ./lab start
