"""The captions spoken by espeak-ng, where it is installed; a film without narration has the same pictures.

voice = find_voice()                             # None where espeak-ng is not installed
spoken = speak(scene, folder, voice)             # a WAV for each caption
write_track(…)                                   # all of them, each at its second
"""

import hashlib
import shutil
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path

from instructor.film.script import SCRIPT, Scene, Script
from instructor.schema import find_line
from lab_code.errors import LabError
from lab_code.files import open_whole

_RATE = 22050
_SPEECH = ["-v", "en-gb", "-s", "158", "-g", "2", "-p", "42"]
# How it says what it would spell wrongly.
_SAID = {"MLflow": "M L flow", "CUDA": "cooda", "squeue": "S queue", "sinfo": "S info", "Ctrl-C": "control C",
         "machine.server": "machine dot server", "gpu1": "G P U 1", "docs/gpu-server.md": "the handbook"}  # fmt: skip


def find_voice() -> str | None:
    """The program that speaks; None where it is not installed."""
    return shutil.which("espeak-ng")


def speak(scene: Scene, folder: Path, voice: str) -> list[Path]:
    """A WAV for every caption, in their order; what was spoken once is kept."""
    return [_speak_one(caption.say, folder, voice) for caption in scene.captions]


def _speak_one(text: str, folder: Path, voice: str) -> Path:
    for written, said in _SAID.items():
        text = text.replace(written, said)
    digest = hashlib.sha256("\0".join([*_SPEECH, text]).encode("utf-8")).hexdigest()[:16]
    path = folder / f"{digest}.wav"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([voice, *_SPEECH, "--stdout", text], capture_output=True)
        if done.returncode or not done.stdout:
            raise LabError(f"{voice} cannot speak: {done.stderr.decode(errors='replace').strip()}", hint="or: --silent")
        with open_whole(path) as file:
            file.write(done.stdout)
    return path


def read_samples(path: Path) -> bytes:
    """What is heard, as 16 bits a sample; espeak-ng does not say in the file how long it is."""
    with wave.open(str(path)) as file:
        return file.readframes(file.getnframes())


def length_of(path: Path) -> float:
    """Seconds."""
    return len(read_samples(path)) / 2 / _RATE


def check_lengths(script: Script, scene: Scene, spoken: Sequence[Path]) -> None:
    """Raise `LabError` for a caption that is spoken longer than it stands there."""
    path, key = script.folder / SCRIPT, f"scenes[{script.scenes.index(scene)}].captions"
    for number, (caption, end, sound) in enumerate(zip(scene.captions, scene.caption_ends(), spoken, strict=True)):
        if (needs := length_of(sound)) > end - caption.at:
            line = find_line(path, f"{key}[{number}].say")
            raise LabError(
                f"{path}{line}: scene '{scene.name}': the caption '{caption.say[:30]}…' is spoken in {needs:.1f} s, "
                f"and stands for {end - caption.at:.1f} s",
                hint="shorten it, make the scene longer, or build without narration: --silent",
            )


def write_track(parts: Sequence[tuple[float, Path]], seconds: float, target: Path) -> None:
    """One WAV of the whole length with every part at its second."""
    track = bytearray(2 * round(seconds * _RATE))
    for at, path in parts:
        samples, begin = read_samples(path), 2 * round(at * _RATE)
        track[begin : begin + len(samples)] = samples[: len(track) - begin]
    target.parent.mkdir(parents=True, exist_ok=True)
    with open_whole(target) as file, wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(bytes(track))
