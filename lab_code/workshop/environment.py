"""Make the environment `.venv` that everything runs in: the packages of pyproject.toml, as constraints.txt pins them.

    python lab_code/workshop/environment.py --extras instructor,test     # what the Makefile calls
    ./lab setup                                                          # the same in a kit

It needs nothing but Python's own library, since nothing is installed yet when it runs. Where uv can be had it does the
work, in a fraction of pip's time, and looks for packages where pip is told to look (pip.conf, PIP_…); elsewhere pip
does. Called again it does nothing, or mends what is broken. What both of them say goes to `.venv/setup.log`.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

VENV, STAMP, LOG = ".venv", "made.json", "setup.log"
_OLDEST = (3, 11)
_DESCRIBED_BY = ("pyproject.toml", "constraints.txt")
_LOOK = "import sys, importlib.util as u; print(*sys.version_info[:2], u.find_spec('pip') and sys.prefix or '')"
# What pip calls it -> the variable by which uv hears of it, and what stands between several values.
_VARIABLES = {
    "index-url": ("UV_INDEX_URL", " "),
    "extra-index-url": ("UV_EXTRA_INDEX_URL", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "timeout": ("UV_HTTP_TIMEOUT", " "),
    "default-timeout": ("UV_HTTP_TIMEOUT", " "),
    "cert": ("SSL_CERT_FILE", " "),
    "client-cert": ("SSL_CLIENT_CERT", " "),
    "proxy": ("ALL_PROXY", " "),
    "constraint": ("UV_CONSTRAINT", " "),
    "cache-dir": ("", ""),  # uv keeps a cache of its own
}
_FLAGS = {"no-index": "--no-index", "no-cache-dir": "--no-cache"}
# These decide which files are taken, or where they go, in ways that uv does not share: whoever sets them gets pip.
_ONLY_PIP = {
    "no-binary",
    "only-binary",
    "prefer-binary",
    "pre",
    "require-hashes",
    "platform",
    "target",
    "prefix",
    "root",
}
_PARTS = {
    "bin",
    "include",
    "lib",
    "lib64",
    "Scripts",
    "Include",
    "Lib",
    "share",
    ".gitignore",
    "setup.log",
    "made.json",
}
_LOG_LINES = 25
_NO_INDEX = "a package index is needed once; then call this again"

# Runs a command with these environment variables added, while a title is on screen; whether it worked.
Run = Callable[[str, "list[str]", Mapping[str, str]], bool]


class SetupError(Exception):
    """What cannot be mended here, with what to do about it; `in_log`: a program has said more there."""

    def __init__(self, message: str, hint: str, in_log: bool = False) -> None:
        super().__init__(message)
        self.hint, self.in_log = hint, in_log


@dataclass(frozen=True)
class Source:
    """Where packages come from: a folder of wheels and nowhere else, or else (None) from where pip looks.

    `uv` is the program that came with the wheels; `cache` is where it unpacks them, on the disk of `.venv`.
    """

    wheels: Path | None = None
    uv: str | None = None
    cache: Path | None = None

    @property
    def nowhere_else(self) -> list[str]:
        """As uv and pip are told."""
        return ["--no-index", "--find-links", str(self.wheels)]

    @property
    def pip(self) -> list[str]:
        """pip as Python's arguments: the wheel itself runs, in an environment that has none yet."""
        wheel = self._find_pip()
        return [str(wheel / "pip")] if wheel else ["-m", "pip"]

    @property
    def brings_pip(self) -> bool:
        """Whether pip is among the wheels, so that nobody need unpack the one that Python has."""
        return self._find_pip() is not None

    def _find_pip(self) -> Path | None:
        return next(self.wheels.glob("pip-*.whl"), None) if self.wheels else None


ANYWHERE = Source()


def make_environment(
    root: Path, extras: set[str], run: Run, *, use_uv: bool = True, this_python: bool = False, source: Source = ANYWHERE
) -> None:
    """Make or mend `root/.venv`, or leave it as it stands. `this_python`: it must have the version that runs this."""
    fault = find_fault(root, this_python)
    if fault is not None:
        _make_venv(root, fault, run, source)
    stamp = _make_stamp(root, extras)
    if _read_stamp(root) == stamp:
        return
    (root / VENV / STAMP).unlink(missing_ok=True)
    if source.wheels is None:
        _install(root, set(stamp["extras"]), run, use_uv)
    else:
        _install_from(source, root, set(stamp["extras"]), run)
    (root / VENV / STAMP).write_text(json.dumps(stamp) + "\n", encoding="utf-8")


def is_made(root: Path, extras: set[str]) -> bool:
    """Whether `make_environment` would find nothing to do."""
    return find_fault(root) is None and _read_stamp(root) == _make_stamp(root, extras)


def _make_stamp(root: Path, extras: set[str]) -> dict[str, Any]:
    """What will be written when all is installed; what was asked for before stays."""
    wanted = extras | set(_read_stamp(root).get("extras", []))
    return {"extras": sorted(wanted), "described": _digest(root), "place": str((root / VENV).resolve())}


def venv_program(root: Path, name: str) -> str:
    """A program of the environment, where this system keeps it."""
    folder, ending = ("Scripts", ".exe") if os.name == "nt" else ("bin", "")
    return str(root / VENV / folder / (name + ending))


def find_fault(root: Path, this_python: bool = False) -> str | None:
    """Why `.venv` must be made: '' where it is not there yet, None where it will do."""
    if not os.path.lexists(root / VENV):
        return ""
    command = [venv_program(root, "python"), "-c", _LOOK]
    try:
        looked = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace")
        major, minor, prefix = looked.stdout.rstrip("\r\n").split(" ", 2)
        version = (int(major), int(minor))
    except (OSError, ValueError):
        return "its Python does not run"
    if version < _OLDEST or (this_python and version != sys.version_info[:2]):
        return f"it has Python {major}.{minor}"
    if not prefix or Path(prefix).resolve() != (root / VENV).resolve():
        return "it is half-made"
    if _read_stamp(root).get("place", str((root / VENV).resolve())) != str((root / VENV).resolve()):
        return "it was made in another folder"
    return None


def _make_venv(root: Path, fault: str, run: Run, source: Source) -> None:
    if fault:
        print(f"note: {VENV} is made anew: {fault}", file=sys.stderr)
    _remove_venv(root / VENV)
    python = getattr(sys, "_base_executable", sys.executable)  # this may be the very environment that is made anew
    by_uv = [str(source.uv), "venv", "--no-config", "--offline", "--allow-existing", "--python", python, VENV]
    if source.uv and run(f"making {VENV}", by_uv, {}):  # also where Python came without `venv`
        return
    bare = ["--without-pip"] if source.brings_pip else []  # which then installs itself
    if not run(f"making {VENV}", [python, "-m", "venv", *bare, VENV], {}):
        hint = "install what is missing (on Debian and Ubuntu: apt install python3-venv), or free disk space"
        raise SetupError(f"{python} -m venv {VENV} failed", hint)


def _remove_venv(venv: Path) -> None:
    """Remove an environment, half-made or whole, or a link to one; never a folder of somebody's own."""
    if venv.is_symlink() or venv.is_file():
        venv.unlink()
    elif venv.exists():
        if not {path.name for path in venv.iterdir()} <= _PARTS and not (venv / "pyvenv.cfg").is_file():
            raise SetupError(f"{venv} is no environment of Python", "move it away, then call this again")
        shutil.rmtree(venv)


def _install_from(source: Source, root: Path, extras: set[str], run: Run) -> None:
    """Install from a folder of wheels, whatever an account's settings say of places to look."""
    what, python = [*source.nowhere_else, *_what_to_install(extras), "pip"], venv_program(root, "python")
    uv = [str(source.uv), "pip", "install", "--no-config", "--offline", "--python", python, *what]
    told = {"UV_CACHE_DIR": str(source.cache)} if source.cache else {}
    if source.uv and run("installing the packages with uv", uv, told):
        return
    pip = [python, *source.pip, "--isolated", "install", "--disable-pip-version-check", "--no-compile", *what]
    if not run("installing the packages with pip (some minutes)", pip, {"PIP_CONFIG_FILE": os.devnull}):
        raise SetupError(
            f"the packages could not be installed from {source.wheels}",
            f"free disk space? else send {VENV}/{LOG} to the instructor; then call this again",
            True,
        )


def _what_to_install(extras: set[str]) -> list[str]:
    return ["-c", "constraints.txt", "-e", f".[{','.join(sorted(extras))}]" if extras else "."]


def _install(root: Path, extras: set[str], run: Run, use_uv: bool) -> None:
    what = _what_to_install(extras)
    pip = [venv_program(root, "python"), "-m", "pip", "install", "--disable-pip-version-check"]
    settings = read_pip_settings(root) if use_uv else None
    if settings is not None and not _ONLY_PIP & settings.keys():
        uv, told = venv_program(root, "uv"), uv_environment(settings)
        command = [uv, "pip", "install", "--no-config", "--python", venv_program(root, "python"), *uv_flags(settings)]
        got = run("fetching uv, which installs fast", [*pip, "-c", "constraints.txt", "uv"], {})
        if got and run("installing the packages with uv", [*command, *what], told):
            return
        why = "uv did not manage" if got else "uv is not to be had here"
        print(f"note: {why}, so pip goes on (some minutes); reasons in {VENV}/{LOG}", file=sys.stderr)
    if not run("installing the packages with pip (some minutes)", [*pip, *what], {}):
        raise SetupError("the packages could not be installed", _NO_INDEX, True)


def read_pip_settings(root: Path) -> dict[str, str] | None:
    """What pip is told by its files and variables; None where it cannot say."""
    command = [venv_program(root, "python"), "-m", "pip", "config", "list"]
    listed = subprocess.run(command, cwd=root, capture_output=True, text=True, encoding="utf-8", errors="replace")
    try:
        return None if listed.returncode else parse_pip_settings(listed.stdout)
    except (ValueError, SyntaxError):
        return None


def parse_pip_settings(listed: str) -> dict[str, str]:
    """What `pip install` goes by: variables outdo [install], and that [global]. A line: global.timeout='9'"""
    found: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in listed.splitlines():
        name, equals, value = line.partition("=")
        section, _, key = name.rpartition(".")
        if equals and section in found:
            found[section][key.replace("_", "-")] = str(ast.literal_eval(value))
    merged = {**found["global"], **found["install"], **found[":env:"]}
    return {key: value for key, value in merged.items() if key not in _ONLY_PIP | _FLAGS.keys() or _is_on(value)}


def _is_on(value: str) -> bool:
    return value.strip().lower() not in ("", "0", "false", "no", "off", "n", "f")


def uv_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The same settings as variables that uv reads: no address ever stands on a command line."""
    told = {"UV_INDEX_STRATEGY": "unsafe-best-match"}  # as pip does: the fitting version, whichever index has it
    for key, (variable, between) in _VARIABLES.items():
        if variable and settings.get(key, "").split():
            told[variable] = between.join(settings[key].split())
    return told


def uv_flags(settings: Mapping[str, str]) -> list[str]:
    """The same settings as flags, where pip's are on or off."""
    return [flag for key, flag in _FLAGS.items() if key in settings]


def _digest(root: Path) -> str:
    return hashlib.sha256(b"\0".join((root / name).read_bytes() for name in _DESCRIBED_BY)).hexdigest()


def _read_stamp(root: Path) -> dict[str, Any]:
    """What was installed last, and where; nothing where that was interrupted."""
    try:
        stamp = json.loads((root / VENV / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def run_quietly(root: Path) -> Run:
    """A `Run` that writes what a command says to the log, and shows one line of its own meanwhile."""
    log = root / VENV / LOG

    def run(title: str, command: list[str], variables: Mapping[str, str]) -> bool:
        log.parent.mkdir(exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            file.write(f"\n== {title} ==\n")
            file.flush()
            child = subprocess.Popen(
                command, cwd=root, env={**os.environ, **variables}, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
            try:
                return _watch(title, child) == 0
            except BaseException:
                child.kill()
                child.wait()
                raise

    return run


def _watch(title: str, child: subprocess.Popen[bytes]) -> int:
    """Wait for a command; on a terminal the seconds count up, elsewhere its one line is written when it begins."""
    started, screen = time.monotonic(), sys.stderr.isatty()
    if not screen:
        print(f"{title} …", file=sys.stderr, flush=True)
    while True:
        try:
            code = child.wait(0.5 if screen else None)
        except subprocess.TimeoutExpired:
            code = None
        if screen:
            end = "" if code is None else "\n"
            print(f"\r{title} … {time.monotonic() - started:.0f} s", end=end, file=sys.stderr, flush=True)
        if code is not None:
            return code


def _print_log(root: Path) -> None:
    try:
        lines = (root / VENV / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    print(*lines[-_LOG_LINES:], sep="\n", file=sys.stderr)


def main(argv: list[str] | None = None, place: Path | None = None) -> int:
    """Exit code 0: the environment stands; 1: the reason and the fix are on stderr, below the end of the log."""
    parser = argparse.ArgumentParser(prog="setup", description="Make or mend the environment .venv of this folder.")
    parser.add_argument("--extras", default="", help="extras of pyproject.toml, with commas: instructor,test")
    parser.add_argument("--pip", action="store_true", help="without uv")
    parser.add_argument("--this-python", action="store_true", help="make it anew where its Python is another version")
    chosen = parser.parse_args(argv)
    root = place or Path(__file__).resolve().parent.parent.parent
    extras = set(filter(None, chosen.extras.split(",")))

    def make() -> int:
        make_environment(root, extras, run_quietly(root), use_uv=not chosen.pip, this_python=chosen.this_python)
        return 0

    return explain_failures(root, make)


def explain_failures(root: Path, work: Callable[[], int]) -> int:
    """The exit code of some work; what goes wrong in it is said as reason and fix."""
    try:
        return work()
    except KeyboardInterrupt:
        print("\nstopped; call it again and it goes on", file=sys.stderr)
        return 130
    except SetupError as error:
        if error.in_log:
            _print_log(root)
        return _fail(str(error), error.hint)
    except OSError as error:
        return _fail(f"{VENV} cannot be made: {error}", "check the disk's free space and the folder's rights")


def _fail(message: str, hint: str) -> int:
    print(f"error: {message}\nhint: {hint}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
