"""How fast laptops train, as `lab doctor --json` has measured it there, and what a class takes on the slowest of them.

laptops = read_laptops(Path("/media/usb"))           # every doctor*.json below it, or one file
laptop.training_s(photographs)                       # seconds of one experiment of the class
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab_code.errors import LabError

_ENCODINGS = ("utf-8-sig", "utf-16")  # the latter is what PowerShell's > writes
_LARGEST = 1_000_000  # bytes
_FIGURES = ("epoch_s", "epochs", "photographs", "start_s")


@dataclass(frozen=True)
class Laptop:
    """`epoch_s` are the seconds of an epoch of so many `photographs`, `start_s` those of an experiment beside them."""

    name: str
    group: str
    epoch_s: float
    epochs: float
    photographs: float
    start_s: float

    def training_s(self, photographs: float) -> float:
        """Seconds of one experiment with so many photographs."""
        return self.start_s + self.epochs * self.epoch_s * photographs / self.photographs

    def slowness(self, other: "Laptop") -> float:
        """How many times as long as another one it takes for the same."""
        return (self.epoch_s / self.photographs) / (other.epoch_s / other.photographs)


def read_laptops(place: Path) -> tuple[list[Laptop], list[str]]:
    """The laptops of a file, or of all doctor*.json below a folder; and notes on files that say nothing of training.

    Raises `LabError` where there is no such file.
    """
    paths = [place] if place.is_file() else sorted(_find_results(place))
    if not paths:
        raise LabError(
            f"{place} holds no doctor*.json" if place.is_dir() else f"there is no {place}",
            hint="in each kit: ./lab doctor --json > doctor.json, then bring the file",
        )
    laptops, notes = [], []
    for path in paths:
        try:
            laptops.append(parse_doctor(_read(path), path.stem if len(paths) == 1 else _name(path, place)))
        except LabError as error:
            notes.append(f"{path}: {error.message}")
    return laptops, notes


def parse_doctor(text: str, name: str) -> Laptop:
    """What `lab doctor --json` says of training. Raises `LabError` where it says nothing."""
    try:
        said = json.loads(text[: text.rindex("}") + 1])
        figures = next(check["figures"] for check in said["checks"] if check["name"] == "training")
        laptop = Laptop(name, str(said["group"]), *(float(figures[key]) for key in _FIGURES))
    except StopIteration as error:
        raise LabError("it says nothing of training") from error
    except (ValueError, TypeError, KeyError) as error:
        hint = "./lab doctor --json > doctor.json, in a kit of this version"
        raise LabError("this is not what lab doctor --json prints, or training failed there", hint=hint) from error
    if not (0 < laptop.epoch_s < 1e6 and 1 <= laptop.epochs <= 1e6 and 1 <= laptop.photographs <= 1e9):
        raise LabError("its figures of training make no sense")
    return laptop


def slowest(laptops: Sequence[Laptop]) -> Laptop | None:
    """The one that takes longest for a photograph."""
    return max(laptops, key=lambda laptop: laptop.epoch_s / laptop.photographs, default=None)


def _find_results(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("doctor*.json") if path.is_file() and not path.is_symlink())


def _name(path: Path, place: Path) -> str:
    """`group-3/doctor.json` is the laptop group-3, `doctor-7.json` is doctor-7."""
    return path.parent.name if path.stem == "doctor" and path.parent != place else path.stem


def _read(path: Path) -> str:
    content = path.read_bytes() if path.stat().st_size <= _LARGEST else b""
    for encoding in _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return ""
