import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lykeion.nets import WeightsError
from lykeion.nets.families.efficientnet_lite import read_weights
from lykeion.nets.published_weights import efficientnet_lite0_file
from lykeion.nets.torch_weights import read_torch_weights

HERE = Path(__file__).parent
FILES = [HERE / "state_dict_zip.pth", HERE / "state_dict_legacy.pth"]
CONTENTS = [file.read_bytes() for file in FILES]


class Attack:
    """Unpickled, it would write a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (exec, (f"open({str(self.target)!r}, 'w')",))


def legacy(state: bytes) -> bytes:
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}]
    return b"".join(pickle.dumps(part, 2) for part in parts) + state + pickle.dumps([], 2)


def zipped(state: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("model/data.pkl", state)
    return file.getvalue()


@pytest.mark.parametrize("file", FILES, ids=["zip", "legacy"])
def test_a_state_dict_reads_as_pytorch_reads_it(file: Path) -> None:
    weights = read_torch_weights(file)
    with np.load(HERE / "state_dict.npz") as expected:
        assert set(weights) == set(expected.files)
        for name in expected.files:
            np.testing.assert_array_equal(weights[name], expected[name], strict=True)


@pytest.mark.parametrize("wrap", [legacy, zipped])
def test_a_malicious_pickle_is_refused_and_not_run(wrap, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    state = pickle.dumps({"weight": Attack(proof)}, 2)
    (tmp_path / "evil.pth").write_bytes(wrap(state))
    with pytest.raises(WeightsError, match=r"evil.pth: .* refers to '__builtin__.exec'"):
        read_torch_weights(tmp_path / "evil.pth")
    assert not proof.exists()
    pickle.loads(state)  # the attack is a real one
    assert proof.exists()


@pytest.mark.parametrize(
    "state",
    [
        pickle.dumps({"weight": 1}, 2),
        pickle.dumps([1, 2], 2),
        pickle.dumps({"weight": b"bytes"}, 4),
        b"\x80\x02(u.",  # items set on nothing
        b"\x80\x02u.",  # a mark that is not there
        b"\x80\x02h\x05.",  # a memo that is not there
        b"\x80\x02}",  # no end
        b"ctorch._utils\n_rebuild_tensor_v2\n)R.",
        b"ccollections\nOrderedDict\n(I1\nI2\nlR.",
        b"}(N)s.",
    ],
)
@pytest.mark.parametrize("wrap", [legacy, zipped])
def test_a_pickle_that_is_no_state_dict_is_an_error(wrap, state: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(wrap(state))
    with pytest.raises(WeightsError, match=r"w\.pth: "):
        read_torch_weights(tmp_path / "w.pth")


@given(st.sampled_from(CONTENTS), st.data())
def test_a_truncated_file_is_an_error_wherever_it_ends(tmp_path_factory, content: bytes, data: st.DataObject) -> None:
    file = tmp_path_factory.mktemp("cut") / "cut.pth"
    file.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(WeightsError, match=r"cut\.pth: ") as caught:
        read_torch_weights(file)
    assert "\n" not in str(caught.value)


@given(st.sampled_from(CONTENTS), st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4))
def test_flipped_bytes_give_weights_or_an_error_of_one_line(tmp_path_factory, content: bytes, flips) -> None:
    changed = bytearray(content)
    for place, value in flips:
        changed[place % len(changed)] = value
    file = tmp_path_factory.mktemp("flip") / "flip.pth"
    file.write_bytes(changed)
    try:
        outcome = read_torch_weights(file)
    except WeightsError as error:
        outcome = str(error)
    assert isinstance(outcome, dict) or "\n" not in outcome


def test_a_compressed_archive_is_refused_for_it_could_grow_without_end(tmp_path: Path) -> None:
    (tmp_path / "bomb.pth").write_bytes(zipped(b"\x80\x02}" + b"0" * 10_000_000 + b".", zipfile.ZIP_DEFLATED))
    with pytest.raises(WeightsError, match="compressed"):
        read_torch_weights(tmp_path / "bomb.pth")


def test_a_missing_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"none\.pth: No such file"):
        read_torch_weights(tmp_path / "none.pth")


def test_weights_of_another_network_are_an_error_that_says_so() -> None:
    with pytest.raises(WeightsError, match="it is not EfficientNet-Lite0's"):
        read_weights(FILES[0])


def test_the_published_weights_are_all_read() -> None:
    weights = read_torch_weights(efficientnet_lite0_file())
    assert sum(weight.size for name, weight in weights.items() if "num_batches" not in name) == 4_652_008 + 42_016
