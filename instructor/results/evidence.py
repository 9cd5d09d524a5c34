"""What collecting knows of a class beside its runs: `evidence.json` in the collected folder.

    evidence = gather_evidence(workshop, test_set, handins, outcomes)      while collecting
    write_evidence(folder, evidence); read_evidence(folder)

Ranking, ceremony and report are made from this file, the store and a few tables, so that they can be made again when
Kahoot has been counted, and years later. It holds no photograph's name: labels and lesions are numbers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lab_code.data.dataset import Dataset, parse_dataset
from lab_code.data.ham10000 import HAM10000
from lab_code.data.lesions import read_folder
from lab_code.errors import LabError
from lab_code.files import write_whole

EVIDENCE = "evidence.json"
_FORMAT = 1


@dataclass
class GroupEvidence:
    """One group. `predicted` is the class that its best model gives every hidden photograph, empty without one."""

    group: str
    runs: int = 0
    run_id: str = ""  # the one that it is ranked by
    best_run: str = ""  # its name
    validation: float | None = None  # its own balanced accuracy
    predicted: list[int] = field(default_factory=list)
    tested: dict[str, dict[str, float]] = field(default_factory=dict)  # run id -> metrics on the hidden photographs
    stages: list[dict[str, Any]] = field(default_factory=list)  # as `describe_stages` of `class_facts.py` says
    feedback: list[dict[str, Any]] = field(default_factory=list)
    points: int = 0  # as the kit counts them
    handed_in: str = ""
    receipt: str = ""


@dataclass
class Evidence:
    """A class: `labels` and `lesions` (numbers) of the hidden photographs, in the order of all predictions."""

    workshop: str
    title: str
    diagnoses: list[str] = field(default_factory=lambda: list(HAM10000.codes))
    described: str = ""  # the description of the hidden photographs; empty in what older versions wrote
    labels: list[int] = field(default_factory=list)
    lesions: list[int] = field(default_factory=list)
    groups: list[GroupEvidence] = field(default_factory=list)

    @property
    def dataset(self) -> Dataset:
        """What the photographs are about."""
        return parse_dataset(self.described, Path(EVIDENCE)) if self.described else HAM10000

    def predictions(self) -> dict[str, np.ndarray]:
        """(N,) int64 of every group whose model was asked about exactly these photographs."""
        known = {entry.group: np.array(entry.predicted, np.int64) for entry in self.groups}
        return {group: values for group, values in known.items() if len(values) == len(self.labels) > 0}


def read_truth(test_set: Path) -> tuple[list[int], list[int], Dataset]:
    """Labels and lesions of the hidden photographs, in the order in which they are predicted, and their data set."""
    reading = read_folder(test_set)
    photographs, codes = reading.photographs, reading.dataset.codes
    _, lesions = np.unique([photograph.lesion_id for photograph in photographs], return_inverse=True)
    return [codes.index(photograph.dx) for photograph in photographs], lesions.tolist(), reading.dataset


def gather_group(
    group: str, runs: int, facts: Sequence[Mapping[str, Any]], scores: Sequence[Mapping[str, Any]]
) -> GroupEvidence:
    """What the hand-ins of a group say (`facts`, the newest first), and what their models scored, the best first."""
    ahead = max(facts, key=lambda one: one["progress"]["points"])
    best = scores[0] if scores else {}
    tested = {run_id: metrics for score in reversed(scores) for run_id, metrics in score.get("others", {}).items()}
    tested |= {score["run_id"]: score["metrics"] for score in scores if score["metrics"]}
    return GroupEvidence(
        group=group,
        runs=runs,
        run_id=best.get("run_id", ""),
        best_run=best.get("name", ""),
        validation=best.get("validation"),
        predicted=[int(label) for label in best.get("predicted", [])],
        tested=tested,
        stages=ahead["stages"],
        feedback=[one["feedback"] for one in facts if one["feedback"]],
        points=ahead["progress"]["points"],
        handed_in=facts[0]["written"],
        receipt=facts[0]["receipt"],
    )


def write_evidence(folder: Path, evidence: Evidence) -> None:
    """Write `evidence.json` into `folder`."""
    write_whole(folder / EVIDENCE, json.dumps({"format": _FORMAT, **asdict(evidence)}, ensure_ascii=False) + "\n")


def read_evidence(folder: Path) -> Evidence:
    """Read it back. Raises `LabError` where nothing was collected yet, or by a later version of this program."""
    path = folder / EVIDENCE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("format") != _FORMAT:
            raise LabError(
                f"{path} was written by another version of this project", hint="make collect writes it again"
            )
        groups = [GroupEvidence(**entry) for entry in document.pop("groups")]
        return Evidence(**document, groups=groups)
    except FileNotFoundError as error:
        raise LabError(f"nothing is collected yet: {path} is missing", hint="make collect") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise LabError(f"{path} cannot be read: {error}", hint="make collect writes it again") from error
