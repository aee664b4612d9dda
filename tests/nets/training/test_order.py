import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lykeion.nets.training.order import AUGMENTATION, ORDER, batch_indices, generator


@given(st.integers(0, 2**63 - 1), st.integers(1, 50), st.integers(1, 60), st.integers(1, 4))
def test_every_photo_is_seen_once_an_epoch(seed: int, batch: int, count: int, epochs: int) -> None:
    steps = -(-epochs * count // batch)
    seen = np.concatenate([batch_indices(seed, step, batch, count) for step in range(steps)])
    for epoch in seen[: epochs * count].reshape(epochs, count):
        assert sorted(epoch) == list(range(count))


@given(st.integers(0, 2**63 - 1), st.integers(0, 1_000), st.integers(1, 50))
def test_the_order_depends_on_seed_and_step_alone(seed: int, step: int, batch: int) -> None:
    first = batch_indices(seed, step, batch, 40)
    batch_indices(seed + 1, step + 7, batch, 40)
    assert (batch_indices(seed, step, batch, 40) == first).all()
    assert (batch_indices(seed, 0, 40, 40) != batch_indices(seed, 1, 40, 40)).any()


def test_streams_of_different_purposes_differ() -> None:
    assert generator(1, 2, ORDER).random() != generator(1, 2, AUGMENTATION).random()
