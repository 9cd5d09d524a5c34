@echo off
rem Double-click: JupyterLab with the starter notebook, and MLflow beside it.
python "%~dp0lab" start
pause
