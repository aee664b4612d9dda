import contextlib
import json
from pathlib import Path
from typing import Any

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from lykeion.vision import CardError, ModelCard

from .making import card


def test_a_card_written_is_read_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "shoes.json"
    written = card(name="schöne Schuhe", crop="letterbox", licence="Apache-2.0", source="somewhere")
    path.write_text(written.to_json())
    assert ModelCard.read(path) == written


def test_source_and_licence_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "shoes.json"
    values = json.loads(card().to_json())
    del values["source"], values["licence"]
    path.write_text(json.dumps(values))
    assert ModelCard.read(path) == card()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 5000),
        ("height", 0),
        ("height", 4097),
        ("width", 2.5),
        ("width", True),
        ("dimension", "1280"),
        ("dimension", 10**9),
        ("channels", "CMYK"),
        ("channels", ["RGB"]),
        ("mean", (1.0, 2.0)),
        ("mean", 127),
        ("mean", (1.0, 2.0, float("nan"))),
        ("std", (1.0, 0.0, 1.0)),
        ("std", (1.0, 1.0, float("inf"))),
        ("std", (1.0, 1.0, "1")),
        ("crop", "fill"),
        ("crop_fraction", 0),
        ("crop_fraction", 1.5),
        ("crop_fraction", None),
        ("output", ""),
        ("licence", None),
    ],
)
def test_an_impossible_field_is_an_error_that_names_it(field: str, value: Any) -> None:
    with pytest.raises(CardError, match=f"field '{field}' is .*; expected") as caught:
        card(**{field: value})
    assert len(str(caught.value)) < 250


def test_a_letterbox_has_no_crop_fraction() -> None:
    with pytest.raises(CardError, match="crop_fraction"):
        card(crop="letterbox", crop_fraction=0.875)


def test_a_grey_network_has_one_mean() -> None:
    assert card(channels="grey", mean=(0.0,), std=(255.0,)).mean == (0.0,)
    with pytest.raises(CardError, match=r"'mean' .* expected 1 number from"):
        card(channels="grey")


def test_what_a_photo_must_have_at_least_covers_the_crop() -> None:
    assert card().at_least == 224
    assert card(crop_fraction=0.875).at_least == 256
    assert card(width=448).at_least == 448


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[]", "not a JSON object"),
        ("{}", "field 'channels' is missing"),
        ("[" * 10_000, "not JSON"),
        (" " * 70_000, "more than"),
        (json.dumps(json.loads(card().to_json()) | {"depth": 3}), "unknown field 'depth'"),
        (card().to_json().replace("1280", "9" * 5000), "not JSON|dimension"),
    ],
)
def test_a_file_that_is_no_card_is_an_error_that_names_it(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "shoes.json"
    path.write_text(text)
    with pytest.raises(CardError, match=message) as caught:
        ModelCard.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_card_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CardError, match=r"none\.json: cannot read the model card: No such file"):
        ModelCard.read(tmp_path / "none.json")


@given(
    st.dictionaries(
        st.sampled_from([*json.loads(card().to_json())]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
        ),
    )
)
def test_any_json_gives_a_card_or_a_card_error(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, Any]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(json.loads(card().to_json()) | changes))
    with contextlib.suppress(CardError):
        assert ModelCard.read(path).to_json()


# LiteRT metadata


def offsets(builder: flatbuffers.Builder, items: list[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return builder.EndVector()


def floats(builder: flatbuffers.Builder, values: tuple[float, ...]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return builder.EndVector()


def table(builder: flatbuffers.Builder, size: int, parts: dict[int, int]) -> int:
    builder.StartObject(size)
    for field, offset in parts.items():
        builder.PrependUOffsetTRelativeSlot(field, offset, 0)
    return builder.EndObject()


def metadata(
    mean: tuple[float, ...] = (127.5,), std: tuple[float, ...] = (127.5,), *, normalised: bool = True
) -> bytes:
    """A ModelMetadata flatbuffer, by the field numbers of metadata_schema.fbs."""
    builder = flatbuffers.Builder()
    units = []
    if normalised:
        options = table(builder, 2, {0: floats(builder, mean), 1: floats(builder, std)})
        builder.StartObject(2)
        builder.PrependUint8Slot(0, 1, 0)
        builder.PrependUOffsetTRelativeSlot(1, options, 0)
        units = [builder.EndObject()]
    given_ = table(builder, 7, {4: offsets(builder, units)})
    graph = table(builder, 10, {2: offsets(builder, [given_])})
    parts = {0: "Shoes", 4: "Ada", 5: "MIT"}
    fields = {field: builder.CreateString(text) for field, text in parts.items()} | {3: offsets(builder, [graph])}
    builder.Finish(table(builder, 8, fields), file_identifier=b"M001")
    return bytes(builder.Output())


def model(
    about: bytes | None, *, shape: tuple[int, ...] = (1, 96, 128, 3), kind: int = 0, signature: str = ""
) -> bytes:
    def tensor(name: str, shape: tuple[int, ...], kind: int) -> schema.TensorT:
        return schema.TensorT(shape=list(shape), type=kind, name=name.encode())

    graph = schema.SubGraphT(
        tensors=[tensor("photo", shape, kind), tensor("vector", (1, 320), 0)], inputs=[0], outputs=[1], operators=[]
    )
    buffers = [schema.BufferT(), schema.BufferT(data=list(about or b""))]
    content = schema.ModelT(version=3, operatorCodes=[], subgraphs=[graph], buffers=buffers)
    if about is not None:
        content.metadata = [schema.MetadataT(name=b"TFLITE_METADATA", buffer=1)]
    if signature:
        output = schema.TensorMapT(name=signature.encode(), tensorIndex=1)
        content.signatureDefs = [schema.SignatureDefT(inputs=[], outputs=[output], signatureKey=b"serving_default")]
    builder = flatbuffers.Builder()
    builder.Finish(content.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def for_model(data: bytes, directory: Path) -> ModelCard:
    path = directory / "shoes.tflite"
    path.write_bytes(data)
    return ModelCard.for_model(path)


def test_without_a_card_the_models_own_metadata_is_read(tmp_path: Path) -> None:
    assert for_model(model(metadata()), tmp_path) == ModelCard(
        name="Shoes",
        height=96,
        width=128,
        channels="RGB",
        mean=(127.5,) * 3,
        std=(127.5,) * 3,
        crop="stretch",
        crop_fraction=1.0,
        output="vector",
        dimension=320,
        source="Ada",
        licence="MIT",
    )


def test_the_output_goes_by_its_name_in_the_signature(tmp_path: Path) -> None:
    assert for_model(model(metadata(), signature="embedding"), tmp_path).output == "embedding"


def test_means_may_be_one_a_channel_and_a_photo_grey(tmp_path: Path) -> None:
    assert for_model(model(metadata((1.0, 2.0, 3.0), (4.0,))), tmp_path).mean == (1.0, 2.0, 3.0)
    grey = for_model(model(metadata(), shape=(1, 96, 128, 1)), tmp_path)
    assert (grey.channels, grey.mean) == ("grey", (127.5,))


def test_an_integer_input_needs_no_normalisation(tmp_path: Path) -> None:
    quantised = for_model(model(metadata(normalised=False), kind=3), tmp_path)
    assert (quantised.mean, quantised.std) == ((0.0,) * 3, (1.0,) * 3)


def test_a_card_beside_the_model_comes_first(tmp_path: Path) -> None:
    (tmp_path / "shoes.json").write_text(card().to_json())
    assert for_model(model(metadata()), tmp_path) == card()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"hello, world", "not a LiteRT model"),
        (model(None), "no metadata"),
        (model(b"hello, world"), "damaged metadata"),
        (model(metadata(normalised=False)), "no normalisation"),
        (model(metadata(), shape=(1, 10)), "shape"),
        (model(metadata((1.0, 2.0), (1.0,))), "'mean'"),
        (model(metadata())[:200], "damaged LiteRT model"),
    ],
)
def test_a_model_that_does_not_say_enough_is_an_error_that_tells_the_cure(
    data: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(CardError, match=message) as caught:
        for_model(data, tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "shoes.tflite"))
    assert "shoes.json" in str(caught.value)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.data())
def test_any_damage_to_a_model_gives_a_card_or_a_card_error(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(model(metadata(), signature="embedding"))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=6)):
        content[place] = data.draw(st.sampled_from([0, 1, 127, 255]) | st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content)) | st.just(len(content))) :]
    with contextlib.suppress(CardError):
        assert for_model(bytes(content), tmp_path_factory.getbasetemp()).to_json()
