"""What networks are like, tried out in a process of its own: torch takes seconds and 300 MB, and gives neither back.

    with closing(NetworkLab(build)) as networks:
        networks.ask(COUNT, "small_cnn", "model.width=24")      # how many weights it learns

The process begins with the first question that nobody has asked before, and ends with `close`. It reads questions and
writes answers, a line of JSON each. Where torch is loaded already, nothing of that is needed. What was answered is kept
in `build/networks.json`, where that folder is there; what our own bank asks comes with the project (`keep.py`). Both
count until a line or a version of what builds networks changes.
"""

import hashlib
import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from instructor.workshop import PROJECT
from lab_code.data.ham10000 import DIAGNOSES
from lab_code.errors import LabError
from lab_code.files import canonical_json, sha256_file, to_json, write_whole

COUNT, SHAPE = "count", "shape"
KEPT = "networks.json"
BROUGHT = Path(__file__).parents[1] / "kept" / KEPT
BUILT_FROM = ("models", "conf", "config.py", "limits.py", "errors.py")  # of lab_code: what a network is made of
_BUILT_BY = ("torch", "torchvision", "hydra-core", "omegaconf")
_KNOWN: dict[str, Any] = {}  # answers by question: they depend on nothing else but this program's own code


class NetworkLab:
    """Answers what only a network that was built can tell."""

    def __init__(self, build: Path | None = None) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._kept = build / KEPT if build else None
        self._read = self._asked = False

    def ask(self, what: str, *details: str | int) -> Any:
        """`COUNT`, a model, changes of its configuration, and its number of classes (else HAM10000's);
        or `SHAPE`, a model, a part of it and a picture's size.

        Raises `LabError` where there is no such model or part.
        """
        question = json.dumps([what, *details])
        if question not in _KNOWN and not self._read:
            self._read = True
            for kept in filter(None, (BROUGHT, self._kept)):
                _KNOWN.update(read_kept(kept))
        if question not in _KNOWN:
            self._asked = True
            _KNOWN[question] = answer(what, *details) if "torch" in sys.modules else self._ask(question)
        return _KNOWN[question]

    def close(self) -> None:
        """End the process, whatever it is at, and keep what was answered."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        if self._asked and self._kept and self._kept.parent.is_dir():
            with suppress(OSError):  # it is asked again next time
                write_kept(self._kept)

    def _ask(self, question: str) -> Any:
        if self._process is None:
            command = [sys.executable, "-m", "instructor.quizbank.networks"]
            self._process = subprocess.Popen(
                command,
                cwd=PROJECT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        assert self._process.stdin and self._process.stdout
        try:
            self._process.stdin.write(question + "\n")
            self._process.stdin.flush()
            said = json.loads(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            hint = "to see why, in the project's folder: .venv/bin/python -c 'import torch, torchvision'"
            raise LabError("the process that builds networks has ended without a word", hint=hint) from error
        if "error" in said:
            raise LabError(said["error"], hint=said["hint"])
        return said["answer"]


def read_kept(path: Path) -> dict[str, Any]:
    """Answers of an earlier program; none where anything has changed that they depend on."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return dict(kept["answers"]) if kept["made_from"] == describe_builders() else {}
    except (OSError, ValueError, TypeError, KeyError):
        return {}


def write_kept(path: Path) -> None:
    """Keep every answer that this program knows."""
    write_whole(path, to_json({"made_from": describe_builders(), "answers": _KNOWN}))


def describe_builders() -> str:
    """A digest of all that an answer depends on: lines of what is built and of this file, versions of what builds it.

    Python's version is not among them, nor whether torch was built for a GPU: no layer has other weights by that.
    """
    package = PROJECT / "lab_code"
    code = {
        path.relative_to(package).as_posix(): sha256_file(path)
        for top in BUILT_FROM
        for path in sorted([package / top, *(package / top).rglob("*")])
        if path.suffix in (".py", ".yaml")
    }
    versions = {name: metadata.version(name).partition("+")[0] for name in _BUILT_BY}
    everything = [versions, code, sha256_file(Path(__file__))]
    return hashlib.sha256(canonical_json(everything)).hexdigest()


def answer(what: str, *details: Any) -> Any:
    """The answer to a question, by building the network here."""
    return _count_weights(*details) if what == COUNT else _find_shape(*details)


def _count_weights(name: str, *details: str | int) -> int:
    import torch

    from lab_code.models import count_parameters

    with torch.device("meta"):  # shapes alone: nothing is drawn, nothing fills memory
        changes = [detail for detail in details if isinstance(detail, str)]
        classes = next((detail for detail in details if isinstance(detail, int)), len(DIAGNOSES))
        return count_parameters(_build_model(name, changes, classes))


def _find_shape(name: str, part: str, size: int) -> str:
    """Put one photograph of this size through the model and look at what comes out of one part."""
    import torch

    model, shapes = _build_model(name).eval(), []
    modules = dict(model.named_modules())
    if part not in modules:
        raise LabError(f"the model {name} has no part '{part}'", hint=f"parts: {', '.join(list(modules)[1:12])}")
    modules[part].register_forward_hook(lambda module, given, output: shapes.append(tuple(output.shape[1:])))
    with torch.inference_mode():
        model(torch.zeros(1, 3, size, size))
    return " x ".join(map(str, shapes[0]))


def _build_model(name: str, changes: Sequence[str] = (), classes: int = len(DIAGNOSES)) -> Any:
    from lab_code.config import CONF_FOLDER, compose_config
    from lab_code.models import build_model

    return build_model(compose_config([f"model={name}", *changes], CONF_FOLDER).model, classes)


def main() -> None:
    """Answer what is asked, until nobody asks any more."""
    for question in sys.stdin:
        try:
            said = {"answer": answer(*json.loads(question))}
        except LabError as error:
            said = {"error": error.message, "hint": error.hint}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
