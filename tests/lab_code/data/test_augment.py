import torch

from lab_code.data.augment import flip_batch, to_float


def eight_views(image: torch.Tensor) -> list[torch.Tensor]:
    turned = [torch.rot90(image, turns, dims=(1, 2)) for turns in range(4)]
    return turned + [view.flip(2) for view in turned]


def test_a_flipped_photograph_is_one_of_the_eight_views_of_itself() -> None:
    images = torch.arange(9 * 3 * 4 * 4, dtype=torch.int32).view(9, 3, 4, 4)
    flipped = flip_batch(images, torch.Generator().manual_seed(1))
    for before, after in zip(images, flipped, strict=True):
        assert any(torch.equal(view, after) for view in eight_views(before))


def test_flips_follow_their_generator() -> None:
    images = torch.randint(0, 255, (12, 3, 8, 8), dtype=torch.uint8)
    first, same, other = (flip_batch(images, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_a_batch_of_one_can_be_flipped() -> None:
    assert flip_batch(torch.zeros(1, 3, 8, 8), torch.Generator()).shape == (1, 3, 8, 8)


def test_scaling_gives_floats_of_about_unit_spread() -> None:
    skin = torch.tensor([191, 140, 143], dtype=torch.uint8).view(1, 3, 1, 1).expand(2, 3, 4, 4)
    scaled = to_float(skin)
    assert scaled.dtype == torch.float32 and scaled.abs().max() < 0.05
    assert to_float(torch.zeros(1, 3, 2, 2, dtype=torch.uint8)).min() > -6
