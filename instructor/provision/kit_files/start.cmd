@echo off
rem Double-click: JupyterLab with the starter notebook, and MLflow beside it.
call "%~dp0lab.cmd" start
pause
