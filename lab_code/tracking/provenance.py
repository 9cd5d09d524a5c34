"""Where a run comes from: the code, word for word, and the environment.

`read_code()` gives the package's source, which goes with every run as `code.json`; two runs can so be compared line by
line a year later (`lab compare`), whether or not there was a repository. Where there is one, its commit and its
uncommitted differences are noted as well.
"""

import difflib
import hashlib
import json
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from lab_code.errors import LabError
from lab_code.files import to_json

CODE = "code.json"
_PACKAGE = Path(__file__).parent.parent
_SUFFIXES = (".py", ".yaml")
_NAME_VERSION = re.compile(r"^(Name|Version): *(\S+)", re.MULTILINE)


def read_code() -> dict[str, str]:
    """Every source and configuration file of the package, by its path."""
    return {
        path.relative_to(_PACKAGE.parent).as_posix(): path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(_PACKAGE.rglob("*"))
        if path.suffix in _SUFFIXES and path.is_file()
    }


def code_fingerprint(code: dict[str, str]) -> str:
    """Twelve characters that change with any line."""
    text = "".join(f"{name}\0{content}\0" for name, content in sorted(code.items()))
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:12]


def code_to_json(code: dict[str, str]) -> str:
    """The code as one readable file: paths and contents."""
    return to_json(code)


def code_from_json(path: Path) -> dict[str, str]:
    """The code that went with a run. Raises `LabError` where the file cannot be read."""
    try:
        code = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(code, dict) and all(isinstance(content, str) for content in code.values()):
            return code
        reason: object = "it is no list of files"
    except (OSError, ValueError) as error:
        reason = error
    raise LabError(f"{path} does not hold the code of a run: {reason}", hint="train the run again")


def describe_difference(before: dict[str, str], after: dict[str, str]) -> str:
    """What changed between two versions of the code, as a unified difference; empty where nothing did."""
    lines: list[str] = []
    for name in sorted(set(before) | set(after)):
        a, b = (version.get(name, "").splitlines(keepends=True) for version in (before, after))
        lines += difflib.unified_diff(a, b, f"a/{name}", f"b/{name}", n=1)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def read_repository() -> tuple[str, str]:
    """The commit of the repository that holds the package and its uncommitted difference; empty where there is none."""
    commit = _ask_git("rev-parse", "HEAD")
    return (commit.strip(), _ask_git("diff", "HEAD", "--", ".")) if commit else ("", "")


def describe_environment() -> str:
    """The interpreter, the system and every installed package with its version, as text."""
    packages = sorted({_name_version(found) for found in metadata.distributions()}, key=str.lower)
    return "\n".join([f"# Python {sys.version.split()[0]}", f"# {platform.platform()}", *packages]) + "\n"


def _name_version(package: metadata.Distribution) -> str:
    """`torch==2.9.1`, from the head of the package's own file: hundreds of whole ones take a fifth of a second."""
    head = (package.read_text("METADATA") or "").partition("\n\n")[0]
    said = dict(_NAME_VERSION.findall(head))
    return f"{said['Name']}=={said['Version']}" if len(said) == 2 else f"{package.metadata['Name']}=={package.version}"


def _ask_git(*arguments: str) -> str:
    """What git answers, or nothing: no git, no repository, and a package that git ignores are all the same."""
    try:
        known = subprocess.run(
            ["git", "ls-files", "--error-unmatch", "__init__.py"], cwd=_PACKAGE, capture_output=True, timeout=20
        )
        if known.returncode:
            return ""
        done = subprocess.run(["git", *arguments], cwd=_PACKAGE, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode("utf-8", errors="replace") if done.returncode == 0 else ""
