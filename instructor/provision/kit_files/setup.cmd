@echo off
rem Double-click, or: setup   Makes this kit's environment and tries the laptop (again: mends what is broken).
rem Packages come from a folder wheels beside the kit or on a stick, and so does Python where this laptop has none.
setlocal
set "here=%~dp0"
set "mine=%here%.cache\python\python\python.exe"
set "check=import sys; sys.exit(sys.version_info < (3, 11))"
if exist "%mine%" goto with_mine
py -3 -c "%check%" >nul 2>nul && (py -3 "%here%lab" setup %* & goto ended)
python -c "%check%" >nul 2>nul && (python "%here%lab" setup %* & goto ended)
set "given="
if "%~1"=="--wheels" set "given=%~2"
set "kind=x86_64-pc-windows-msvc"
if /i "%PROCESSOR_ARCHITECTURE%"=="ARM64" set "kind=aarch64-pc-windows-msvc"
if defined given call :look "%given%"
for %%w in ("%here%wheels" "%here%..\wheels" "%here%..\..\wheels") do call :look %%w
for %%d in (D E F G H I J K L M) do if exist "%%d:\" (call :look "%%d:\wheels" & for /d %%f in ("%%d:\*") do call :look "%%f\wheels")
if defined archive goto unpack
echo error: this laptop has no Python 3.11 or newer, and there is none in a folder wheels\python 1>&2
echo hint: what to do, step by step: %here%no-python.html 1>&2
start "" "%here%no-python.html"
set "code=1"
goto finish

:look
if not defined archive for %%a in ("%~1\python\cpython-*-%kind%-*.tar.gz") do set "archive=%%~fa"
exit /b 0

:unpack
echo this laptop has no Python 3.11 or newer; unpacking the one in %archive% 1>&2
if exist "%here%.cache\python" rmdir /s /q "%here%.cache\python"
mkdir "%here%.cache\python" 2>nul
tar -xzf "%archive%" -C "%here%.cache\python" && "%mine%" -c "%check%" && goto with_mine
echo error: %archive% could not be unpacked, or does not run here 1>&2
echo hint: is there room for 100 MB? else copy the folder wheels again, then: setup 1>&2
rmdir /s /q "%here%.cache\python"
set "code=1"
goto finish

:with_mine
"%mine%" "%here%lab" setup %*

:ended
set "code=%errorlevel%"

:finish
echo %cmdcmdline% | find /i "/c" >nul && pause
exit /b %code%
