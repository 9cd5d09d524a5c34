"""Clips and the film by ffmpeg: H.264 of pictures that last for some frames each, joined without encoding them again.

What ffmpeg writes has no time and no version in it: the same pictures give the same bytes.
"""

import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from lab_code.errors import LabError

_ENCODE = [
    "-c:v", "libx264", "-preset", "veryfast", "-crf", "19", "-g", "250", "-threads", "2",
    "-profile:v", "high", "-pix_fmt", "yuv420p",
    "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv",
]  # fmt: skip
_ALIKE = ["-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact", "-map_metadata", "-1"]


def find_ffmpeg() -> str:
    """Raises `LabError` where there is none, or one that cannot write H.264."""
    path = shutil.which("ffmpeg")
    if path is None:
        raise LabError("ffmpeg is not installed, which makes the film of the frames", hint="apt install ffmpeg")
    said = subprocess.run([path, "-hide_banner", "-encoders"], capture_output=True, text=True).stdout
    if "libx264" not in said:
        raise LabError(f"{path} cannot write H.264", hint="install an ffmpeg with libx264, as Debian's has it")
    return path


def encode_clip(pictures: Sequence[tuple[int, Path]], frames: int, fps: int, target: Path) -> None:
    """A clip of so many frames; every picture stands from its frame until the next one's."""
    begins = [frame for frame, _ in pictures] + [frames]
    lines = ["ffconcat version 1.0"]
    for (_, path), (begin, end) in zip(pictures, pairwise(begins), strict=True):
        lines += [f"file '{path.name}'", f"duration {(end - begin) / fps:.6f}"]
    lines.append(f"file '{pictures[-1][1].name}'")
    listing = pictures[0][1].parent / "frames.txt"
    listing.write_text("\n".join(lines) + "\n", encoding="utf-8")
    colours = f"fps={fps},scale=out_color_matrix=bt709:out_range=tv,tpad=stop_mode=clone:stop=-1,format=yuv420p"
    source = ["-f", "concat", "-safe", "0", "-i", str(listing), "-vf", colours, "-frames:v", str(frames)]
    run_ffmpeg([*source, "-an", *_ENCODE, *_ALIKE], target)


def join_clips(clips: Sequence[Path], sound: Path | None, chapters: str, target: Path) -> None:
    """The clips one after the other, with the narration and with chapters (as ffmetadata)."""
    listing, about = target.with_suffix(".txt"), target.with_suffix(".ffmeta")
    listing.write_text("".join(f"file '{clip.resolve()}'\n" for clip in clips), encoding="utf-8")
    about.write_text(chapters, encoding="utf-8")
    try:
        inputs = ["-f", "concat", "-safe", "0", "-i", str(listing), "-f", "ffmetadata", "-i", str(about)]
        maps = ["-map", "0:v", "-c:v", "copy"]
        if sound is not None:
            inputs += ["-i", str(sound)]
            maps += ["-map", "2:a", "-c:a", "aac", "-b:a", "80k", "-ac", "1"]
        run_ffmpeg([*inputs, *maps, *_ALIKE, "-map_chapters", "1", "-movflags", "+faststart"], target)
    finally:
        listing.unlink(missing_ok=True)
        about.unlink(missing_ok=True)


def run_ffmpeg(arguments: Sequence[str], target: Path) -> None:
    """Write beside the target, then rename. Raises `LabError` with what ffmpeg says."""
    part = target.with_name(f".{target.name}.part{target.suffix}")
    command = [find_ffmpeg(), "-hide_banner", "-loglevel", "error", "-nostdin", "-y", *arguments, str(part)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            said = (done.stderr.strip().splitlines() or ["without a word"])[-1]
            full = "No space left" in done.stderr
            hint = (
                f"free some room for {target.parent}, then again" if full else "ffmpeg -version: 4.4 or newer is needed"
            )
            raise LabError(f"ffmpeg could not write {target}: {said}", hint=hint)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
