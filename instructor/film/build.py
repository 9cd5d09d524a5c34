"""The whole film: everything is checked first, every scene becomes a clip of its own, and the clips are joined.

    plan = plan_film(folder, out, size)      # checks; which scenes were drawn already
    make_film(plan, advance)                 # draws the others, joins, writes captions and pages

A clip is kept under a digest of all that it was made from, so a second call draws nothing, and a changed scene alone.
Whatever is interrupted goes on where it was; files appear whole or not at all.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from instructor.film import cast, draw, encode, frames
from instructor.film.cast import ENDING, place_marks, play, read_cast
from instructor.film.draw import Size, open_stage
from instructor.film.encode import encode_clip, find_ffmpeg, join_clips
from instructor.film.frames import State, count_frames, make_states
from instructor.film.narration import check_lengths, find_voice, speak, write_track
from instructor.film.script import SCRIPT, Scene, Script, find_scene, read_script
from instructor.film.texts import write_chapters, write_pages, write_vtt
from instructor.schema import find_line
from instructor.screenshots.browser import need_chromium
from lab_code.errors import LabError
from lab_code.files import canonical_json, sha256_file, write_whole

PICTURE_ENDING = ".webp"
POSTER = "poster.png"
_ROOM = 600_000_000  # bytes that a disk must have left for the frames of one scene and the film
_DRAWN_BY = (cast, draw, encode, frames)
_POSTER_S = 8.0  # of the first scene

Advance = Callable[[], object]
Paint = Callable[[State], bytes]


@dataclass(frozen=True)
class Plan:
    """What is to be done: the scenes, where each clip lies or will lie, and who speaks (nobody: None)."""

    script: Script
    scenes: list[Scene]
    out: Path
    size: Size
    voice: str | None
    clips: list[Path]

    @property
    def missing(self) -> list[tuple[Scene, Path]]:
        """The scenes that have to be drawn, each with its clip."""
        return [(scene, clip) for scene, clip in zip(self.scenes, self.clips, strict=True) if not clip.exists()]


def plan_film(folder: Path, out: Path, size: Size, *, only: str | None = None, silent: bool = False) -> Plan:
    """Check everything that can be wrong before anything is drawn. Raises `LabError` with file and scene."""
    script = read_script(folder)
    scenes = script.scenes if only is None else [find_scene(script, only)]
    for scene in scenes:
        if scene.kind == "terminal":
            _check_marks(script, scene, size.fps)
        if scene.kind == "browser":
            _check_looks(script, scene)
    find_ffmpeg()
    need_chromium()
    _check_room(out)
    voice = None if silent else find_voice()
    if voice:
        for scene in scenes:
            check_lengths(script, scene, speak(scene, out / "voice", voice))
    clips = [out / "clips" / f"{scene.name}-{_digest(script, scene, size)}.mp4" for scene in scenes]
    return Plan(script, scenes, out, size, voice, clips)


def _check_marks(script: Script, scene: Scene, fps: int) -> None:
    """Everything that is pointed at stands there once."""
    path, file = script.folder / SCRIPT, script.recordings / f"{scene.name}{ENDING}"
    for number, begin in enumerate(place_marks(play(read_cast(file), scene, fps), scene, fps)):
        if begin is None:
            mark, where = scene.marks[number], f"scenes[{script.scenes.index(scene)}].marks[{number}]"
            raise LabError(
                f"{path}{find_line(path, where)}: scene '{scene.name}': '{mark.text}' is not on the screen at "
                f"{mark.at:g} s, nor later",
                hint="correct its at or its text, or: make film RECORD=1",
            )


def _check_looks(script: Script, scene: Scene) -> None:
    """Every picture and every spot that the scene looks at was recorded."""
    path, spots = script.folder / SCRIPT, script.facts.get("spots", {})
    for number, look in enumerate(scene.looks):
        known = spots.get(look.picture)
        file = script.recordings / f"{look.picture}{PICTURE_ENDING}"
        where = f"scenes[{script.scenes.index(scene)}].looks[{number}]"
        if known is None or not file.is_file():
            text = f"there is no picture '{look.picture}' in {script.recordings}"
            hint = f"pictures: {', '.join(spots)}; make film RECORD=1 takes them anew"
        elif look.spot and look.spot not in known:
            text, hint = f"picture '{look.picture}' has no spot '{look.spot}'", f"spots: {', '.join(known)}"
        else:
            continue
        raise LabError(f"{path}{find_line(path, where)}: scene '{scene.name}': {text}", hint=hint)


def _check_room(out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(out).free) < _ROOM:
        raise LabError(
            f"the disk of {out} has {free / 1e6:.0f} MB left, the film needs {_ROOM / 1e6:.0f}", hint="free some room"
        )


def _digest(script: Script, scene: Scene, size: Size) -> str:
    """Of everything that a frame of this scene follows from."""
    parts = [canonical_json(asdict(scene)), canonical_json(asdict(size)), draw.STAGE.read_bytes()]
    parts += [Path(str(module.__file__)).read_bytes() for module in _DRAWN_BY]
    if scene.kind == "terminal":
        parts.append((script.recordings / f"{scene.name}{ENDING}").read_bytes())
    for name, file in _find_pictures(script, scene).items():
        parts += [sha256_file(file).encode("ascii"), canonical_json(script.facts["spots"][name])]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def _find_pictures(script: Script, scene: Scene) -> dict[str, Path]:
    return {look.picture: script.recordings / f"{look.picture}{PICTURE_ENDING}" for look in scene.looks}


def make_film(plan: Plan, advance: Advance = lambda: None) -> Path:
    """Draw what is missing and write the film, or the one scene that was asked for; returns its path.

    `advance` is called after every scene that was drawn.
    """
    whole = len(plan.scenes) == len(plan.script.scenes)
    target = plan.out / ("film.mp4" if whole else f"scene-{plan.scenes[0].name}.mp4")
    if plan.missing or (whole and not (plan.out / POSTER).exists()):
        _draw(plan, whole, advance)
    with _scratch(plan.out) as scratch:
        sound = _narrate(plan, scratch / "narration.wav") if plan.voice else None
        join_clips(plan.clips, sound, write_chapters(plan.scenes), scratch / target.name)
        (scratch / target.name).replace(target)
    write_whole(target.with_suffix(".vtt"), write_vtt(plan.scenes))
    if whole:
        write_pages(plan.script, plan.out)
        _forget_old(plan)
    return target


def _draw(plan: Plan, poster: bool, advance: Advance) -> None:
    """Every clip that is not there yet, and the poster, by one browser."""
    pictures = {name: file for scene, _ in plan.missing for name, file in _find_pictures(plan.script, scene).items()}
    with open_stage(pictures, plan.size) as paint:
        for scene, clip in plan.missing:
            _draw_clip(plan, scene, clip, paint)
            advance()
        if poster:
            states = make_states(plan.script, plan.scenes[0], plan.size.fps)
            shown = [state for frame, state in states if frame <= _POSTER_S * plan.size.fps]
            write_whole(plan.out / POSTER, paint({**shown[-1], "caption": ""}))


def _draw_clip(plan: Plan, scene: Scene, clip: Path, paint: Paint) -> None:
    """One scene, drawn and encoded."""
    clip.parent.mkdir(parents=True, exist_ok=True)
    with _scratch(plan.out) as scratch:
        pictures = []
        for frame, state in make_states(plan.script, scene, plan.size.fps):
            pictures.append((frame, scratch / f"{frame:06}.png"))
            pictures[-1][1].write_bytes(paint(state))
        encode_clip(pictures, count_frames(scene, plan.size.fps), plan.size.fps, clip)


def _narrate(plan: Plan, track: Path) -> Path:
    parts: list[tuple[float, Path]] = []
    begin = 0.0
    for scene in plan.scenes:
        spoken = speak(scene, plan.out / "voice", str(plan.voice))
        parts += [(begin + caption.at, sound) for caption, sound in zip(scene.captions, spoken, strict=True)]
        begin += scene.seconds
    write_track(parts, begin, track)
    return track


@contextmanager
def _scratch(out: Path) -> Iterator[Path]:
    """A folder for what is half done; what was left by a call that was killed goes as well."""
    place = out / ".half-done"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _forget_old(plan: Plan) -> None:
    """Clips of scenes as they were before."""
    for clip in _list_clips(plan.out):
        if clip not in plan.clips:
            clip.unlink()


def _list_clips(out: Path) -> Sequence[Path]:
    return sorted((out / "clips").glob("*.mp4"))
