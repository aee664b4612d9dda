from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lykeion.search.index.segment import vector_file
from lykeion.search.index.segment.vector_file import write_vectors


@given(
    rows=st.integers(0, 300),
    dimension=st.integers(1, 9),
    bucket_bytes=st.integers(1, 4_000),
    chunk=st.integers(1, 100),
    seed=st.integers(0, 1_000),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_vectors_are_written_in_the_order_asked_for_whatever_fits_in_memory(
    tmp_path: Path, rows: int, dimension: int, bucket_bytes: int, chunk: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((rows, dimension)).astype(np.float16)
    order = random.permutation(rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_file, "BUCKET_BYTES", bucket_bytes)
        patch.setattr(vector_file, "_CHUNK", chunk)
        write_vectors(tmp_path / "vectors.bin", vectors, order)
    assert (tmp_path / "vectors.bin").read_bytes() == vectors[order].tobytes()
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.bin"]
