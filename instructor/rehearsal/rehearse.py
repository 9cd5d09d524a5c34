"""The whole class once, by simulated groups: kits, half hour, hand-ins, collecting, Kahoot, ceremony.

    rehearsal = rehearse(workshop, cast, folder, launcher, Options(fast=True), tell, progress)

Everything happens below `folder`, by the commands that people type. What a fault of the product would change is
compared with what the groups did (`checks.py`); what all of it means for the class is said in `verdict.py`.
"""

import csv
import shutil
import statistics
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from instructor.provision.workshop_kits import check_room
from instructor.rehearsal.cast import Cast, actions_of
from instructor.rehearsal.checks import Check, check_ceremony, check_collected, check_kahoot
from instructor.rehearsal.kahoot import play_quiz, write_report
from instructor.rehearsal.laptops import Laptop, parse_doctor
from instructor.rehearsal.launcher import Launcher
from instructor.rehearsal.play import play
from instructor.rehearsal.player import TRAINING, Player
from instructor.rehearsal.scene import Scene, count_cores
from instructor.rehearsal.script import write_script
from instructor.workshop import PROJECT, SYNTHETIC, DataSource, Workshop
from lab_code.data.image_files import list_files
from lab_code.errors import LabError
from lab_code.workshop.kit import read_kit

_MADE = ("laptops", "spare", "handins")  # of the groups, below the folder
_BUILT = ("collected", "inbox", "quiz")  # of collecting, below its build
_QUESTIONS = 10
_FAST_IMAGES, _FAST_TEST, _FAST_SIZE, _FAST_EPOCHS = 700, 210, 32, 2
_CORES_OF_A_LAPTOP = 2  # in full: so many groups work at once that each has these
_CUT_OFF = 0.6  # of a damaged zip, what arrives

Progress = Callable[[str, int], Callable[[], object]]


@dataclass(frozen=True)
class Options:
    """`fast`: few photographs and epochs, commands that start warm. `doctor`: measure how fast this machine trains."""

    fast: bool = True
    doctor: bool = True
    report: bool = False  # also the report of the course
    pace_s: float | None = None  # how long one training takes in class; None: as it is measured
    threads: int = 0  # of a training in full; 0: what a laptop has


@dataclass
class Rehearsal:
    """Everything that happened. `took` are the seconds of the instructor's commands by what they are for."""

    workshop: Workshop  # of the class, not the smaller one of a fast rehearsal
    cast: Cast
    fast: bool
    players: list[Player]
    checks: list[Check] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=dict)
    here: Laptop | None = None
    photographs: float = 0.0  # of a kit in class
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    ranking: list[dict[str, Any]] = field(default_factory=list)


def shrink(workshop: Workshop) -> Workshop:
    """The same workshop with few, small, synthetic photographs; locks, questions, stages and scoring stay."""
    data = workshop.data
    small = replace(
        data,
        source=SYNTHETIC,
        images=min(data.images, _FAST_IMAGES),
        test_images=min(data.test_images, _FAST_TEST),
        image_size=min(data.image_size, _FAST_SIZE),
    )
    return replace(workshop, data=small)


def prepare_folder(folder: Path) -> str:
    """Remove what the groups of an earlier rehearsal did, and say so; its kits stay, and are used again."""
    old = [folder / name for name in _MADE] + [folder / "build" / name for name in _BUILT]
    there = [path for path in old if path.exists()]
    for path in there:
        shutil.rmtree(path)
    (folder / "log.txt").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    return f"the work of an earlier rehearsal in {folder} is removed; its kits are used again" if there else ""


def copy_own_trees(home: Path, folder: Path) -> None:
    """What a working copy of a workshop has of its own, so that its rehearsal plays with that."""
    for tree in ("quiz", "locked", "notebooks", "lab_code") if home != PROJECT else ():
        shutil.rmtree(folder / tree, ignore_errors=True)
        if (home / tree).is_dir():
            shutil.copytree(home / tree, folder / tree)


@dataclass
class Stage:
    """A rehearsal while it goes on."""

    workshop: Workshop
    cast: Cast
    launcher: Launcher
    options: Options
    tell: Callable[[str], object] = lambda text: None
    progress: Progress = lambda title, total: lambda: None
    project: Path = PROJECT
    now: Callable[[], float] = time.time  # when it is given, in seconds since 1970
    watch: Callable[[Player], object] = lambda player: None  # called after every step of a group

    def rehearse(self, folder: Path) -> Rehearsal:
        """Raises `LabError` where nothing can be rehearsed at all: no room, no kits."""
        began = time.perf_counter()
        played = shrink(self.workshop) if self.options.fast else self.workshop
        board, server = replace(played.board, report_to=""), replace(played.server, report_to="")
        played = replace(played, board=board, server=server)  # nobody's hears of this
        check_room(played, folder, times=2)
        said = prepare_folder(folder)
        if said:
            self.tell(said)
        scene = self._set_scene(played, folder)
        self.tell("building the kits, and bringing them to laptops …")
        took = self._build(scene)
        players = [Player(scene, group, self.cast.groups[group]) for group in played.groups]
        made = Rehearsal(self.workshop, self.cast, self.options.fast, players, took=took, notes=[*self.cast.notes])
        self._measure(scene, made)
        self.tell(f"{len(players)} groups, {count_at_once(self.options)} at a time …")
        self._play_all(scene, made)
        if not self.options.fast:
            _calibrate(made)
        self.tell("collecting, Kahoot, ceremony …")
        self._end_class(scene, made)
        made.seconds = time.perf_counter() - began
        return made

    def _set_scene(self, played: Workshop, folder: Path) -> Scene:
        document = {key: value for key, value in asdict(played).items() if key != "home"}
        copy_own_trees(played.home, folder)
        (folder / "workshop.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        epochs, threads = (_FAST_EPOCHS, 1) if self.options.fast else (0, self.options.threads or count_threads())
        scene = Scene(played, folder, self.launcher, self.project, self.now(), epochs=epochs, threads=threads)
        scene.pace_s = self.options.pace_s
        return scene

    def _build(self, scene: Scene) -> dict[str, float]:
        took = {"provision": scene.demand("provision").seconds}
        scene.read_key()
        scene.laptops.mkdir(exist_ok=True)
        took["deliver"] = scene.demand("deliver", "stick", str(scene.laptops)).seconds
        scene.begins = self.now()
        return took

    def _measure(self, scene: Scene, made: Rehearsal) -> None:
        """How long a training takes on this machine, with the photographs that the class has."""
        kit = scene.laptops / scene.workshop.groups[0]
        there = sum(1 for _ in (kit / "data").rglob("*.jpg"))
        made.photographs = _count_photographs(self.workshop.data) if self.options.fast else float(there)
        if self.options.fast and self.workshop.data.source != SYNTHETIC:
            made.notes.append("a fast rehearsal has small synthetic photographs, whatever the class has")
        if not self.options.doctor:
            return
        done = self.launcher.run([str(kit / "lab"), "doctor", "--json"], kit, scene.begins)
        scene.note(scene.workshop.groups[0], 0, "lab doctor --json", done)
        try:
            made.here = parse_doctor(done.out, "this machine")
        except LabError as error:
            made.notes.append(f"how fast this machine trains is not known: lab doctor: {error.message}")
            return
        if self.options.fast:
            scene.pace_s = made.here.training_s(made.photographs)

    def _play_all(self, scene: Scene, made: Rehearsal) -> None:
        steps = {
            player.group: sum(len(part.steps) for part in write_script(scene.workshop, read_kit(player.root)))
            for player in made.players
        }
        advance = self.progress("groups", sum(steps.values()))
        with ThreadPoolExecutor(count_at_once(self.options)) as pool:
            playing = [pool.submit(_play, player, advance, self.watch) for player in made.players]
            try:
                for done in as_completed(playing):
                    done.result()
            except BaseException:
                _stop(pool, playing, self.launcher)
                raise

    def _end_class(self, scene: Scene, made: Rehearsal) -> None:
        minute = float(scene.workshop.activity_minutes)
        advance = self.progress("collecting", 3)
        collected = self._collect(scene, made, minute)
        advance()
        places = self._count_kahoot(scene, made, minute)
        made.checks += check_kahoot(places, _rank(play_quiz(scene.workshop.groups, _QUESTIONS)))
        advance()
        done = scene.instructor("ceremony", "--no-open", minute=minute)
        made.took["ceremony"] = done.seconds
        made.checks += check_ceremony(scene.build / "collected", done, made.players)
        made.ranking = _read_ranking(scene.build / "collected", collected)
        if self.options.report:
            made.took["report"] = scene.demand("report", minute=minute).seconds
        advance()

    def _collect(self, scene: Scene, made: Rehearsal, minute: float) -> dict[str, Any]:
        """Once with what the groups gave; where a zip was damaged or a group gave none, once more with what was got."""
        handins = scene.folder / "handins"
        handins.mkdir(exist_ok=True)
        damaged = _bring(made.players, handins, cut=True)
        first = scene.instructor("collect", str(handins), "--json", minute=minute)
        made.took["collect"] = first.seconds
        absent = [player for player in made.players if not player.zips]
        found = check_collected(first, [p for p in made.players if p.zips and p not in damaged], damaged)
        made.checks += found.checks
        if not (damaged or absent):
            return found.document
        _bring(made.players, handins, cut=False)
        kits = [str(player.root) for player in absent if (player.root / "mlflow.db").is_file()]
        second = scene.instructor("collect", str(handins), *kits, "--json", minute=minute)
        made.took["collect again"] = second.seconds
        found = check_collected(second, made.players, [])
        made.checks += found.checks
        return found.document

    def _count_kahoot(self, scene: Scene, made: Rehearsal, minute: float) -> Path:
        out = scene.build / "quiz"
        out.mkdir(exist_ok=True)
        report = out / "report.xlsx"
        write_report(report, play_quiz(scene.workshop.groups, _QUESTIONS), scene.workshop.title)
        given = ["--out", str(out), "--workshop", str(scene.workshop_file)]
        for more in ([], ["--count"]):
            done = scene.instructor("kahoot", "results", str(report), *more, *given, minute=minute, options=False)
            made.took["kahoot"] = made.took.get("kahoot", 0) + done.seconds
            made.checks.append(Check(f"instructor kahoot results {' '.join(more)}".strip(), not done.code, done.said))
        return out / "kahoot-ranking.csv"


def _calibrate(made: Rehearsal) -> None:
    """In full the trainings were measured, which says more of this machine than its doctor."""
    calm = [player for player in made.players if "closes-lid" not in player.behaviours]
    seconds = [60 * deed.minutes for player in calm for deed in player.deeds if deed.kind == TRAINING]
    if made.here is not None and seconds:
        epoch_s = max(0.01, statistics.median(seconds) - made.here.start_s) / made.here.epochs
        made.here = replace(made.here, epoch_s=epoch_s * made.here.photographs / made.photographs)


def _count_photographs(data: DataSource) -> float:
    """How many photographs a kit of the class holds: of a folder about, of one file as many as the synthetic ones."""
    there = [] if data.source == SYNTHETIC else list_files(Path(data.source))
    return len(there) * (1 - data.test_fraction) if there else float(data.images)


def count_threads() -> int:
    """Threads of a training in full: what a laptop has."""
    return min(_CORES_OF_A_LAPTOP, count_cores())


def count_at_once(options: Options) -> int:
    """How many groups work at once, so that no core does the work of two laptops."""
    return max(1, count_cores() // (1 if options.fast else options.threads or _CORES_OF_A_LAPTOP))


def _play(player: Player, advance: Callable[[], object], watch: Callable[[Player], object]) -> None:
    def go_on() -> None:
        watch(player)
        advance()

    play(player, actions_of(player.behaviours), go_on)


def _stop(pool: ThreadPoolExecutor, playing: list[Future[None]], launcher: Launcher) -> None:
    """No command is begun any more, and those that run are ended."""
    for one in playing:
        one.cancel()
    launcher.close()
    pool.shutdown(cancel_futures=True)


def _bring(players: list[Player], handins: Path, *, cut: bool) -> list[Player]:
    """Copy what the groups handed in; returns whose last zip was cut off on the way."""
    damaged = []
    for player in players:
        for path in player.zips:
            content = path.read_bytes()
            if cut and player.is_damaged and path == player.zips[-1]:
                content = content[: int(len(content) * _CUT_OFF)]
                damaged.append(player)
            (handins / path.name).write_bytes(content)
    return damaged


def _rank(points: dict[str, list[int]]) -> dict[str, int]:
    totals = {group: sum(scores) for group, scores in points.items()}
    return {group: 1 + sum(other > total for other in totals.values()) for group, total in totals.items()}


def _read_ranking(collected: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    """The final leaderboard, as its CSV says."""
    path = collected / "leaderboard.csv"
    if not path.is_file():
        return list(document.get("groups", []))
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]
