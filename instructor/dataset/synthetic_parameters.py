"""What synthetic lesions are like: the traits of each diagnosis, the textures of each lesion, colours and absorption.

`draw_lesions(random, dx, difficulty)` draws everything that stays the same from one photograph of a lesion to the next;
`synthetic_render` photographs the result. Colours and traits were fitted to, and judged by eye on, seventy photographs
of HAM10000 (ten of each diagnosis): they are no medical knowledge, only enough for a picture that can be learnt from.
The order of the draws is part of the result: one draw added or moved changes every picture after it.
"""

# ruff: noqa: RUF009 - the table of traits is its dataclass, and `_trait` returns a field

from dataclasses import dataclass, field, fields
from typing import NamedTuple

import numpy as np

from lab_code.data.ham10000 import DIAGNOSES


def _trait(*numbers: float) -> np.ndarray:
    """A field of `Traits` that carries its row of the table: seven means, standard deviation, lowest, highest."""
    return field(metadata={"numbers": numbers})


@dataclass(frozen=True)
class Traits:
    """What distinguishes lesions, each trait an array: (L,) one a lesion, or (B, 1, 1) one a photograph.

    `radius` is in half widths of the picture, what concerns the border in radii, melanin and haemoglobin in optical
    density; the rest are strengths, and 0 is "absent".
    """

    # fmt: off
    #                                         akiec  bcc  bkl   df  mel   nv vasc     sd  min  max
    radius: np.ndarray = _trait(               .45, .40, .46, .43, .60, .46, .34,   .12, .16, .85)
    elongation: np.ndarray = _trait(           .25, .25, .20, .12, .25, .20, .15,   .14, .00, .60)
    border_irregularity: np.ndarray = _trait(  .34, .30, .22, .12, .30, .14, .13,   .09, .02, .60)
    border_softness: np.ndarray = _trait(      .30, .28, .13, .26, .15, .16, .09,   .07, .04, .50)
    second_lobe: np.ndarray = _trait(          .35, .35, .25, .12, .55, .20, .20,   .22, .00, 1.0)  # asymmetry
    melanin: np.ndarray = _trait(              .28, .10, .46, .28, .70, .74, .06,   .18, .00, 1.6)
    tan: np.ndarray = _trait(                  .55, .50, .75, .45, .35, .40, .40,   .20, .00, 1.0)  # 1 yellow-brown
    variegation: np.ndarray = _trait(          .65, .55, .45, .30, .75, .35, .30,   .20, .00, 1.3)  # of colour
    pigment_network: np.ndarray = _trait(      .08, .03, .10, .30, .42, .36, .00,   .16, .00, .90)
    globules: np.ndarray = _trait(             .08, .12, .15, .05, .38, .22, .00,   .16, .00, .90)  # and dots
    blue_white_veil: np.ndarray = _trait(      .03, .08, .05, .06, .56, .06, .20,   .14, .00, 1.2)
    ovoid_nests: np.ndarray = _trait(          .05, .50, .03, .02, .12, .02, .03,   .15, .00, 1.0)  # blue-grey
    haemoglobin: np.ndarray = _trait(          .16, .20, .05, .16, .10, .07, .88,   .09, .00, 1.3)
    lacunae: np.ndarray = _trait(              .02, .03, .00, .00, .03, .01, .65,   .12, .00, 1.0)
    vessels: np.ndarray = _trait(              .16, .46, .04, .08, .14, .02, .08,   .13, .00, 1.0)
    erythema: np.ndarray = _trait(             .20, .16, .04, .12, .10, .04, .04,   .09, .00, .60)  # a red halo
    central_scar: np.ndarray = _trait(         .05, .08, .03, .52, .08, .02, .04,   .15, .00, .90)
    milia_like_cysts: np.ndarray = _trait(     .05, .03, .46, .12, .05, .05, .03,   .16, .00, 1.0)
    scale: np.ndarray = _trait(                .46, .20, .16, .08, .05, .02, .02,   .15, .00, 1.0)  # and crust
    patchiness: np.ndarray = _trait(           .55, .40, .32, .10, .25, .12, .06,   .18, .00, 1.0)
    sun_damage: np.ndarray = _trait(           .45, .32, .30, .18, .25, .14, .08,   .18, .00, 1.0)  # freckles around
    # fmt: on

    def per_photograph(self, lesion: np.ndarray) -> "Traits":
        """The traits of the lesion (B,) in each photograph, shaped (B, 1, 1) to meet its pixels."""
        return Traits(**{name: getattr(self, name)[lesion, None, None] for name in _TRAIT_NAMES})


_TRAIT_NAMES = tuple(trait.name for trait in fields(Traits))
_TABLE = np.array([trait.metadata["numbers"] for trait in fields(Traits)]).T  # (7 + 3, traits)
_MEANS, (_SPREAD, _LOWEST, _HIGHEST) = _TABLE[:7], _TABLE[7:]

# Structures that some lesions of a diagnosis lack altogether.
_OPTIONAL_TRAITS = (
    "pigment_network",
    "globules",
    "blue_white_veil",
    "ovoid_nests",
    "lacunae",
    "vessels",
    "central_scar",
    "milia_like_cysts",
    "scale",
    "erythema",
)
_ABSENT_SHARE = 0.22

# Which diagnosis an atypical lesion leans to: one row for each true diagnosis, each sums to 1.
_LOOKALIKES = np.array(
    # akiec  bcc  bkl    df   mel    nv  vasc
    [
        [0.00, 0.40, 0.40, 0.05, 0.10, 0.05, 0.00],  # akiec
        [0.35, 0.00, 0.20, 0.10, 0.10, 0.15, 0.10],  # bcc
        [0.20, 0.08, 0.00, 0.04, 0.28, 0.40, 0.00],  # bkl
        [0.10, 0.20, 0.15, 0.00, 0.05, 0.45, 0.05],  # df
        [0.06, 0.06, 0.24, 0.04, 0.00, 0.60, 0.00],  # mel
        [0.03, 0.05, 0.32, 0.08, 0.50, 0.00, 0.02],  # nv
        [0.05, 0.30, 0.05, 0.10, 0.15, 0.35, 0.00],  # vasc
    ]
)

# Absorption of (red, green, blue) by one unit of pigment. Melanin takes most from blue and so looks brown, haemoglobin
# takes green; deep melanin looks blue, because short waves are scattered back before they reach it (Tyndall effect).
ABSORPTION_TAN_MELANIN = (0.30, 0.70, 1.15)
ABSORPTION_DARK_MELANIN = (0.50, 0.98, 1.02)
ABSORPTION_DEEP_MELANIN = (1.05, 0.82, 0.56)
ABSORPTION_HAEMOGLOBIN = (0.24, 1.00, 0.44)

# Skin as log (red, green, blue): its mean and its two main axes, measured on the seventy photographs.
_MEAN_SKIN = np.array([-0.17, -0.42, -0.37])
_BRIGHT_SKIN = np.array([0.50, 0.60, 0.62])
_PINK_SKIN = np.array([0.40, -0.66, -0.58])
_PINKNESS = np.array([-0.25, -0.45, -0.10, 0.35, -0.30, 0.30, 0.10])  # by diagnosis


class Textures(NamedTuple):
    """One random pattern of each kind: as waves (L, K, 4), or seen in photographs (B, H, W) with unit variance.

    A texture is a sum of K plane waves (random Fourier features), and the four numbers of a wave are its frequency
    along x and along y in radians per half width of the picture, its amplitude and its phase.
    """

    outline: np.ndarray  # bends the border
    clouds: np.ndarray  # slow change of colour
    grain: np.ndarray
    skin: np.ndarray
    mesh: np.ndarray  # all waves about as long: its zeros are a network, its peaks are dots
    blobs: np.ndarray  # the same, coarser


@dataclass(frozen=True)
class Lesions:
    """Everything about L lesions that their photographs have in common."""

    traits: Traits  # (L,) each
    skin: np.ndarray  # (L, 3) float32, log colour
    lobe_x: np.ndarray  # (L,) float32, centre of the second lobe in radii of the lesion
    lobe_y: np.ndarray  # (L,) float32
    textures: Textures  # (L, K, 4) each


def draw_lesions(random: np.random.RandomState, dx: np.ndarray, difficulty: float) -> Lesions:
    """Draw one lesion for each diagnosis in `dx`, (L,) indices into `DIAGNOSES`.

    `difficulty` from 0 to 1 makes lesions lean further towards another diagnosis, and vary more.
    """
    traits = _draw_traits(random, dx, difficulty)
    skin = _draw_skin(random, dx, difficulty)
    direction = random.uniform(0, 6.28, len(dx))
    lobe_x = (0.8 * np.cos(direction)).astype(np.float32)
    lobe_y = (0.8 * np.sin(direction)).astype(np.float32)
    return Lesions(traits, skin, lobe_x, lobe_y, _draw_textures(random, len(dx)))


def _draw_traits(random: np.random.RandomState, dx: np.ndarray, difficulty: float) -> Traits:
    lookalike = np.array([random.choice(len(DIAGNOSES), p=_LOOKALIKES[own]) for own in dx])
    leaning = np.clip(random.beta(1.0, 3.2, len(dx)) * difficulty, 0, 0.95)[:, None]  # (L, 1)
    typical = _MEANS[dx] * (1 - leaning) + _MEANS[lookalike] * leaning  # (L, traits)
    values = typical + _SPREAD * random.standard_normal(typical.shape) * (0.55 + 0.45 * difficulty)
    optional = [_TRAIT_NAMES.index(name) for name in _OPTIONAL_TRAITS]
    values[:, optional] *= random.uniform(size=(len(dx), len(optional))) > _ABSENT_SHARE
    values = np.clip(values, _LOWEST, _HIGHEST).astype(np.float32)
    traits = dict(zip(_TRAIT_NAMES, values.T, strict=True))
    # Pigments vary by factors, so a few lesions are far darker or redder than the table's highest value.
    traits["melanin"] *= np.exp(0.38 * random.standard_normal(len(dx))).astype(np.float32)
    traits["haemoglobin"] *= np.exp(0.3 * random.standard_normal(len(dx))).astype(np.float32)
    return Traits(**traits)


def _draw_skin(random: np.random.RandomState, dx: np.ndarray, difficulty: float) -> np.ndarray:
    """Log colour (L, 3) of the skin around each lesion, with a small link to the diagnosis."""
    person = random.standard_normal((len(dx), 2))
    brightness = 0.10 * person[:, :1]
    pinkness = 0.09 * person[:, 1:] + 0.10 * (_PINKNESS[dx, None] * 0.5 * difficulty)
    return (_MEAN_SKIN + brightness * _BRIGHT_SKIN + pinkness * _PINK_SKIN).astype(np.float32)


def _draw_textures(random: np.random.RandomState, lesions: int) -> Textures:
    mesh_frequency = _draw_log_uniform(random, 24, 40, (lesions, 1, 1))
    outline = _draw_waves(random, (lesions, 10), 3, 11, falloff=1.0)
    clouds = _draw_waves(random, (lesions, 10), 3, 10, falloff=0.6)
    grain = _draw_waves(random, (lesions, 20), 9, 26, falloff=0.3)
    skin = _draw_waves(random, (lesions, 28), 4, 60, falloff=0.45)
    mesh = _draw_narrow_band(random, (lesions, 18), mesh_frequency)
    blob_frequency = _draw_log_uniform(random, 11, 17, (lesions, 1, 1))
    blobs = _draw_narrow_band(random, (lesions, 14), blob_frequency)
    return Textures(outline, clouds, grain, skin, mesh, blobs)


def _draw_waves(
    random: np.random.RandomState, shape: tuple[int, int], lowest: float, highest: float, falloff: float
) -> np.ndarray:
    """`shape` (L, K) waves in all directions, as (L, K, 4); amplitude is frequency ** -falloff, variance sums to 1."""
    frequency = _draw_log_uniform(random, lowest, highest, shape)
    direction = random.uniform(0, 2 * np.pi, shape)
    phase = random.uniform(0, 2 * np.pi, shape)
    amplitude = frequency**-falloff
    amplitude *= np.sqrt(2 / (amplitude**2).sum(axis=1, keepdims=True))
    waves = [frequency * np.cos(direction), frequency * np.sin(direction), amplitude, phase]
    return np.stack(waves, axis=-1).astype(np.float32)


def _draw_narrow_band(random: np.random.RandomState, shape: tuple[int, int], frequency: np.ndarray) -> np.ndarray:
    """Waves (L, K, 4) of about one `frequency` (L, 1, 1): their sum is evenly spaced cells."""
    waves = _draw_waves(random, shape, 0.88, 1.12, falloff=0.0)
    waves[..., :2] *= frequency.astype(np.float32)
    return waves


def _draw_log_uniform(
    random: np.random.RandomState, lowest: float, highest: float, shape: tuple[int, ...]
) -> np.ndarray:
    return np.exp(random.uniform(np.log(lowest), np.log(highest), shape))
