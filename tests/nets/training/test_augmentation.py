import numpy as np
import pytest

from lykeion.nets.training import Recipe
from lykeion.nets.training.augmentation import augment

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 12, 10, 3), np.uint8)


def changed(**settings: object) -> np.ndarray:
    recipe = Recipe(**settings)  # pyright: ignore[reportArgumentType]
    return augment(IMAGES, recipe, np.random.default_rng(1))


def test_without_augmentation_photos_stay_as_they_are() -> None:
    assert (changed() == IMAGES).all()


@pytest.mark.parametrize("settings", [{"flip": True}, {"shift": 3}, {"colour": 0.3}, {"erase": 0.5}])
def test_augmentation_keeps_shape_and_type_and_its_input(settings: dict[str, object]) -> None:
    before = IMAGES.copy()
    images = changed(**settings)
    assert (images.shape, images.dtype) == (IMAGES.shape, np.uint8)
    assert (images != before).any()
    assert (before == IMAGES).all()
    assert (images == changed(**settings)).all()


def test_a_flip_mirrors_some_photos_and_leaves_the_others() -> None:
    images = changed(flip=True)
    same = (images == IMAGES).all(axis=(1, 2, 3))
    mirrored = (images == IMAGES[:, :, ::-1]).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 16 < mirrored.sum() < 48


def test_a_shift_moves_the_photo_and_repeats_its_edge() -> None:
    photo = np.arange(5, dtype=np.uint8)[None, :, None, None].repeat(5, axis=2)
    rows = {tuple(augment(photo, Recipe(shift=1), np.random.default_rng(n))[0, :, 0, 0]) for n in range(50)}
    assert rows == {(0, 0, 1, 2, 3), (0, 1, 2, 3, 4), (1, 2, 3, 4, 4)}


def test_erasing_leaves_most_of_a_photo() -> None:
    share = (changed(erase=1.0) != IMAGES).any(axis=3).mean(axis=(1, 2))
    assert (share > 0.02).all()
    assert (share <= 0.3).all()
