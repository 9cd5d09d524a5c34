@echo off
if /i "%~1"=="setup" goto setup
if exist "%~dp0.venv\Scripts\python.exe" goto own
python "%~dp0lab" %*
exit /b
:own
"%~dp0.venv\Scripts\python.exe" "%~dp0lab" %*
exit /b
:setup
call "%~dp0setup.cmd" %2 %3 %4 %5 %6
exit /b
