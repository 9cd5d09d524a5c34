@echo off
python "%~dp0lab" %*
