"""What a process is started with: here, or in an image as Kubernetes starts its containers."""

import pytest

from lykeion.platform.local.processes.launch import VARIABLES, Mounted, launch
from lykeion.platform.local.supervision.ignored_fields import ignored_fields
from lykeion.platform.resources.programs.pod_template import PodTemplate
from lykeion.platform.resources.programs.program import EnvironmentVariable, Program

OURS = {"PATH": "/usr/bin", "LANG": "C"}
RUN = ("lykeion", "images", "run", "--quiet", "--env-fd", VARIABLES)


@pytest.mark.parametrize(
    ("program", "words"),
    [
        (Program(image="shop:v1"), ("shop:v1",)),
        (Program(image="shop:v1", args=("-a", "$(B)")), ("shop:v1", "-a", "2")),
        (Program(image="shop:v1", command=("fit",)), ("--entrypoint=fit", "shop:v1")),
        (
            Program(image="shop:v1", command=("fit", "-c"), args=("x",), working_dir="/w"),
            ("--entrypoint=fit", "--workdir=/w", "shop:v1", "-c", "x"),
        ),
    ],
)
def test_a_command_replaces_the_images_entrypoint_and_arguments_its_command(
    program: Program, words: tuple[str, ...]
) -> None:
    assert launch(program, {"B": "2"}, OURS, "/here").argv == (*RUN, *words)


def test_a_program_in_an_image_gets_its_variables_apart_from_those_of_the_machine() -> None:
    program = Program(image="shop:v1", env=(EnvironmentVariable(name="PATH", value="/app:$(PATH)"),))
    started = launch(program, {"RUN": "/run"}, OURS, "/here", [Mounted("/run"), Mounted("/in", read_only=True)])
    assert started.environment == OURS
    assert started.in_image == {"RUN": "/run", "PATH": "/app:$(PATH)"}
    assert started.working_directory == "/here"
    assert started.argv[len(RUN) :] == ("--volume=/run:/run:U", "--volume=/in:/in:ro,U", "shop:v1")


def test_a_program_without_an_image_has_the_variables_of_the_machine_beside_its_own() -> None:
    program = Program(command=("fit",), args=("$(ALL)",), env=(EnvironmentVariable(name="ALL", value="$(LANG)$(A)"),))
    started = launch(program, {"A": "1"}, OURS, "/here")
    assert started.argv == ("fit", "C1")
    assert started.environment == {**OURS, "A": "1", "ALL": "C1"}
    assert started.in_image is None


def test_an_image_is_ignored_where_none_can_be_started() -> None:
    program = Program(image="shop:v1", command=("fit",), pod=PodTemplate(priority_class_name="high"))
    assert ignored_fields(program, starts_images=False) == ("program.image", "program.pod.priorityClassName")
    assert ignored_fields(program, starts_images=True) == ("program.pod.priorityClassName",)


@pytest.mark.parametrize("image", ["", "-x", "shop:v1@sha256:12", "shop v1"])
def test_what_is_no_image_is_refused(image: str) -> None:
    import msgspec

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"image": image}, Program)
