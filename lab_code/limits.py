"""Limits of what people may choose: what a run may be called, and how much memory its network may need.

Names must be readable in a table and fit a file on any system. Memory is estimated from the settings, without building
the network, by two limits: what one photograph takes must leave room for others (a hand-in is scored on the
instructor's laptop), and a training batch must fit beside everything else that a laptop of 8 GB does. On a GPU that is
asked for by name, the card is the limit. Photographs are predicted in batches as large as `evaluation_batch` says.
"""

from lab_code.errors import LabError

LONGEST = 100
RULE = f'1 to {LONGEST} characters in one line, without / \\ : * ? " < > | ${{ and without a blank or a dot at an end'
_FORBIDDEN = set('/\\:*?"<>|')
_RESERVED = {"CON", "PRN", "AUX", "NUL", *(f"{port}{number}" for port in ("COM", "LPT") for number in range(1, 10))}

PHOTOGRAPH_BYTES = 128 * 10**6  # while one photograph is predicted
TRAINING_BYTES = 4 * 10**9
PREDICTION_BYTES = 10**9  # for all photographs of a batch
_LARGEST_BATCH = 256

# For each pixel of a photograph, in bytes, measured: what the layers keep for the backward pass, the largest layer's
# output, and the number of parameters. `tests/lab_code/test_memory.py` measures them again.
_NETWORKS = {
    ("resnet18", "7x7"): (452, 64, 11_200_000),
    ("resnet18", "3x3"): (4600, 256, 11_200_000),
    ("mobilenet_v3_small", ""): (345, 18, 1_530_000),
    ("efficientnet_b0", ""): (1820, 96, 4_020_000),
}
_MEASURED = (0, 80, 1000)  # of colour_texture, which is measured in blocks and trained on a table


def is_name(text: str) -> bool:
    """Whether a run may be called so: readable in a table, and a file may have the name on any system."""
    return not find_fault(text)


def find_fault(text: str) -> str:
    """Which rule a name breaks, as the rest of a sentence that begins with the name; empty where it breaks none."""
    hidden = next((letter for letter in text if not letter.isprintable()), "")
    forbidden = [letter for letter in dict.fromkeys(text) if letter in _FORBIDDEN]
    device = text.split(".")[0].rstrip().upper()
    if not text:
        return "is empty"
    if len(text) > LONGEST:
        return f"has {len(text)} characters, at most {LONGEST} are allowed"
    if hidden:
        return f"holds the character U+{ord(hidden):04X}, which cannot be seen"
    if forbidden:
        return f"holds {' '.join(forbidden)} , which files cannot have in their names"
    if text != text.strip(" ."):
        return "begins or ends with a blank or a dot"
    if device in _RESERVED:
        return f"is Windows' name of a device ({device}), which no file can have there"
    return "holds ${ , which means something in a configuration" if "${" in text else ""


def plain_name(text: str, longest: int = LONGEST) -> str:
    """The same with letters, digits, `-`, `_` and `.` only: it needs no quotes, and is a file on any system."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in text)[:longest].strip(".")
    return plain if is_name(plain) else f"run-{plain}".rstrip(".")[:longest]


def photograph_bytes(model: str, image_size: int, width: int = 16, stem: str = "7x7") -> int:
    """What predicting one photograph takes: it, and the largest layer's input, output and normalised output."""
    _, largest, _ = _describe(model, width, stem)
    return image_size**2 * (12 + 3 * largest)


def training_bytes(model: str, image_size: int, batch_size: int, width: int = 16, stem: str = "7x7") -> int:
    """What a step takes: what the layers keep of every photograph, two gradients, and four numbers a parameter."""
    kept, largest, parameters = _describe(model, width, stem)
    return round(batch_size * image_size**2 * (kept + 2 * largest)) + 16 * parameters


def evaluation_batch(model: str, image_size: int, width: int = 16, stem: str = "7x7") -> int:
    """How many photographs are predicted at a time."""
    return max(1, min(_LARGEST_BATCH, PREDICTION_BYTES // photograph_bytes(model, image_size, width, stem)))


def check_memory(
    model: str, image_size: int, batch_size: int, *, width: int = 16, stem: str = "7x7", on_gpu: bool = False
) -> None:
    """Raise `LabError` where a network of these settings is too large to be trained here, or scored elsewhere."""
    one = photograph_bytes(model, image_size, width, stem)
    named = f"data.image_size={image_size}"
    if model == "small_cnn":
        named = f"model.width={width} with {named}"
    elif model == "resnet18":
        named = f"resnet18 with model.stem={stem} and {named}"
    else:
        named = f"{model} with {named}"
    if one > PHOTOGRAPH_BYTES:
        smaller = int(image_size * (PHOTOGRAPH_BYTES / one) ** 0.5)
        raise LabError(
            f"{named} needs about {one / 1e6:.0f} MB for one photograph, at most {PHOTOGRAPH_BYTES / 1e6:.0f} MB",
            hint=f"choose smaller ones, for example data.image_size={min(128, smaller)}",
        )
    needed = training_bytes(model, image_size, batch_size, width, stem)
    if needed > TRAINING_BYTES and model != "colour_texture" and not on_gpu:
        fits = max(2, int(batch_size * TRAINING_BYTES / needed * 0.9))
        raise LabError(
            f"{named} and trainer.batch_size={batch_size} needs about {needed / 1e9:.1f} GB of memory, "
            f"at most {TRAINING_BYTES / 1e9:.0f} GB",
            hint=f"for example data.image_size=128, or trainer.batch_size={fits}; on a large GPU: trainer.device=cuda",
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a framework raised this because the machine has no more memory."""
    text = f"{type(error).__name__}: {error}".lower()
    return isinstance(error, MemoryError) or any(
        part in text for part in ("outofmemory", "out of memory", "can't allocate memory", "not enough memory")
    )


def _describe(model: str, width: int, stem: str) -> tuple[float, int, int]:
    """Bytes a pixel that are kept, bytes a pixel of the largest output, and parameters; of nothing known: none."""
    if model == "small_cnn":  # blocks of width, 2, 4 and 4 times width, each with half the resolution
        return 13 + 3.68 * width, width, 235 * width**2 + 1000
    if model == "colour_texture":
        return _MEASURED
    return _NETWORKS.get((model, stem if model == "resnet18" else ""), (0, 0, 0))
