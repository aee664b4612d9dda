from pathlib import Path

import pytest

from lykeion.compress import Cluster, CompressionError, Prune, read_recipe
from lykeion.compress.steps import check_steps
from lykeion.core import LykeionError

from . import making

HEAD = "schema: lykeion.compression\nversion: 1\n"


def read(directory: Path, text: str) -> object:
    path = directory / "recipe.yaml"
    path.write_text(text)
    return read_recipe(path)


def test_a_recipe_is_read(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(
        HEAD
        + """
steps:
  - prune:
      sparsity: 0.6
      layers: [convolution, -0/*]
      training: {epochs: 3, learning_rate: 0.002, teacher: ../runs/large}
  - cluster: {clusters: 32, start: density}
  - qat: {}
  - quantize:
"""
    )
    steps = read_recipe(path)
    assert [step.method for step in steps] == ["prune", "cluster", "qat", "quantize"]
    first, second = steps[0].settings, steps[1].settings
    assert isinstance(first, Prune)
    assert first.training is not None
    assert (first.sparsity, first.layers, first.training.epochs) == (0.6, ("convolution", "-0/*"), 3)
    assert first.training.teacher == str((tmp_path / "../runs/large").resolve())
    assert second == Cluster(clusters=32, start="density")


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[]", "steps: there are 0; give 1 to 64"),
        ("{}", "steps is '{}'; it must be a list"),
        ("[prune]", "steps[0] is 'prune'; it must be a mapping"),
        ("[{prune: {sparsity: .5}, qat: {}}]", "steps[0] has 2 methods; a step has one"),
        ("[{shrink: {}}]", "steps[0] has no field 'shrink'; it takes prune, prune-channels"),
        (
            "[{qat: {}}, {prune: {sparsity: 1.5}}]",
            "steps[1] (prune): sparsity is '1.5'; it must be a number between 0",
        ),
        (
            "[{prune: {sparsity: yes}}]",
            "(prune): sparsity is true (as YAML reads y, yes and on; quote text)",
        ),
        ("[{prune: {}}]", "steps[0] (prune): prune: give one of sparsity, sensitivity, and a structure N:M"),
        ("[{prune: {sparsity: .5, structure: 4}}]", "(prune): structure is '4'; it must be text"),
        ("[{prune: {sparsity: .5, structure: odd}}]", "(prune): structure 'odd': give unstructured, N:M"),
        ("[{prune: {sparsity: .5, speed: 1}}]", "(prune) has no field 'speed'; it takes sparsity"),
        ("[{cluster: {clusters: 2.5}}]", "(cluster): clusters is '2.5'; it must be a whole number from 2 to 256"),
        ("[{cluster: {start: random}}]", "(cluster): start is 'random'; it must be linear or k-means++ or density"),
        ("[{cluster: {keep_zeros: 1}}]", "(cluster): keep_zeros is '1'; it must be true or false"),
        ("[{qat: {training: {epochs: 0}}}]", "(qat): training: epochs is '0'; give a whole number"),
        ("[{qat: {training: {epocs: 1}}}]", "(qat): training: setting 'epocs' is unknown"),
        ("[{distill: {}}]", "steps[0] (distill) lacks the setting 'training'"),
        ("[{distill: {training: {}}}]", "(distill): distill: training names no teacher"),
        ("[{prune: {sparsity: .5, ramp: .3}}]", "(prune): ramp has no effect without training; leave it out"),
        ("[{prune: {sparsity: .5, updates: 3}}]", "(prune): updates has no effect without training"),
        ("[{prune: {sparsity: .5, loss: .1}}]", "(prune): loss has no effect without sensitivity"),
        ("[{cluster: {moving: false}}]", "(cluster): moving has no effect without training"),
        ("[{quantize: {loss: .1}}]", "(quantize): loss has no effect without sensitivity"),
        (
            "[{quantize: {mode: dynamic, calibration: 9}}]",
            "(quantize): calibration has no effect without mode int8 or int16",
        ),
        ("[{qat: {training: {alpha: .5}}}]", "(qat): training: alpha has no effect without teacher"),
        ("[{qat: {training: {momentum: .5}}}]", "(qat): training: momentum has no effect with optimizer adamw"),
        ("[{qat: {training: {epochs: 2, steps: 9}}}]", "(qat): training: epochs and steps both say"),
        ("[{prune-channels: {}}]", "(prune-channels) lacks the setting 'multiply_adds'"),
    ],
)
def test_what_is_wrong_is_named(steps: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(LykeionError) as raised:
        read(tmp_path, f"{HEAD}steps: {steps}\n")
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    [
        "",
        "steps: []",
        "schema: other\nversion: 1\nsteps: []",
        HEAD.replace("1", "2") + "steps: []",
        HEAD,
        HEAD + "a: [*b]",
    ],
)
def test_what_is_no_recipe_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(LykeionError, match=r"recipe\.yaml"):
        read(tmp_path, text)


def test_a_number_may_have_an_exponent(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"{HEAD}steps: [{{cluster: {{training: {{learning_rate: 1e-3}}}}}}]\n")
    assert read_recipe(path)[0].trainings["training"].learning_rate == 0.001


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ("[{quantize: {}}, {cluster: {}}]", r"steps\[1\] \(cluster\): .*nothing can follow"),
        ("[{cluster: {}}, {prune: {sparsity: 0.5}}]", r"steps\[1\] \(prune\): .* is clustered already"),
        ("[{cluster: {}}, {prune-channels: {multiply_adds: 0.5}}]", r"steps\[1\] .*take channels away first"),
        ("[{qat: {}}, {prune-channels: {multiply_adds: 0.5}}]", r"steps\[1\] .*take channels away first"),
        ("[{qat: {}}, {quantize: {}}]", r"steps\[1\] \(quantize\): the network is int8 already"),
        ("[{qat: {}}, {cluster: {layers: [nothing]}}]", r"steps\[1\] .*'nothing' names no layer"),
        ("[{prune: {sparsity: .4, structure: 99x99}}]", r"steps\[0\] .*structure 99x99 makes nothing zero"),
        ("[{prune: {sparsity: .6, structure: 99x99, layers: [dense]}}]", r"steps\[0\] .* makes all of .* zero"),
        ("[{prune: {structure: '1:99', layers: [logits]}}]", r"steps\[0\] .*structure 1:99 makes nothing zero"),
        ("[{prune: {sparsity: .000001}}]", r"steps\[0\] .*makes nothing zero"),
        ("[{prune: {sparsity: .999999}}]", r"steps\[0\] .*makes all of .* zero"),
        ("[{dsd: {sparsity: .000001, training: {}}}]", r"steps\[0\] .*dsd.* makes nothing zero"),
        (
            "[{prune: {sparsity: .5}}, {cluster: {clusters: 2}}]",
            r"steps\[1\] .*one value beside zero; give 3 or more",
        ),
        ("[{prune: {sensitivity: none.json}}]", r"steps\[0\] .*none\.json"),
        ("[{qat: {}}, {distill: {training: {teacher: none}}}]", r"steps\[1\] .*there is no teacher .*none"),
        ("[{qat: {training: {head: arcface}}}]", r"steps\[0\] .*head arcface"),
    ],
)
def test_steps_that_cannot_be_carried_out_are_named_before_anything_is_done(
    steps: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"{HEAD}steps: {steps}\n")
    with pytest.raises(CompressionError, match=message):
        check_steps(read_recipe(path), making.dense())


def test_a_recipe_is_read_without_keras(tmp_path: Path) -> None:
    import subprocess
    import sys

    (tmp_path / "recipe.yaml").write_text(HEAD + "steps: [{qat: {}}]\n")
    code = (
        "import sys; from pathlib import Path; from lykeion.compress.steps import read_recipe; "
        "read_recipe(Path(sys.argv[1])); assert not {'keras', 'tensorflow'} & sys.modules.keys()"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "recipe.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
