"""An image is started on this machine: as its user, read-only, with its environment."""

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from lykeion.images.errors import ImageError
from lykeion.images.running.image_volumes import Volume
from lykeion.images.running.program_variables import read_variables, variables_file
from lykeion.images.running.run_image import prepare
from lykeion.images.running.sandbox import Mount, Start, mount_script, sandbox

from .making import describe

SCRIPT = "from lykeion.cli import main; main()"


def can_unshare() -> bool:
    if sys.platform != "linux" or not shutil.which("unshare") or not shutil.which("ldd"):
        return False
    rootless = ["--user", "--map-root-user"] if os.geteuid() else []
    return not subprocess.run(["unshare", *rootless, "--mount", "true"], capture_output=True).returncode


needs_unshare = pytest.mark.skipif(not can_unshare(), reason="no mount namespaces here")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of this machine's shell and id, and the libraries that they need."""
    directory = tmp_path_factory.mktemp("shell")
    root = directory / "root"
    for program in ("sh", "id", "cat", "touch"):
        path = Path(shutil.which(program) or program).resolve()
        libraries = re.findall(r"(/\S+) \(", subprocess.run(["ldd", path], capture_output=True, text=True).stdout)
        (root / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / "bin" / program)
        for library in libraries:
            (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, root / library.lstrip("/"))
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
    describe(directory, platforms=[f"linux/{architecture}"], entrypoint=["sh", "-c"], command=["id -u"])
    subprocess.run(command(directory, "build", str(directory / "image.yaml")), check=True, capture_output=True)
    return directory


def command(directory: Path, verb: str, *arguments: str) -> list[str]:
    environment = f"LYKEION_HOME={directory / 'home'}"
    quiet = [] if verb == "prune" else ["--quiet"]
    return ["env", environment, sys.executable, "-c", SCRIPT, "images", verb, *quiet, *arguments]


def prune_caches(directory: Path) -> None:
    subprocess.run(command(directory, "prune", "--caches"), check=True, capture_output=True)


def unpacked_root(shell: Path) -> Path:
    run(shell)
    return next(path for path in shell.glob("home/cache/images/roots/*") if path.is_dir())


def run(shell: Path, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(shell, "run", *options, "shop:latest", *arguments), capture_output=True, text=True)


def command_lines() -> Iterator[bytes]:
    """Of all processes."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes()


def run_start(start: Start, *, rootless: bool = False) -> subprocess.CompletedProcess[str]:
    variables = variables_file(start.environment)
    try:
        command = sandbox(start, variables, rootless=rootless)
        return subprocess.run(command, capture_output=True, text=True, pass_fds=[variables])
    finally:
        os.close(variables)


@needs_unshare
def test_the_program_runs_as_the_images_user(shell: Path) -> None:
    assert run(shell).stdout == "65532\n"


@needs_unshare
def test_the_root_is_read_only_and_tmp_is_not(shell: Path) -> None:
    done = run(shell, "touch /x; touch /tmp/x && echo written; touch /bin/x")
    assert done.stdout == "written\n"
    assert done.stderr.count("Read-only file system") == 2


@needs_unshare
def test_the_environment_is_the_images_and_what_is_given(shell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "of this machine")
    done = run(shell, 'echo "$LYKEION_INDEX $SHOP $SECRET" $HOME; pwd', options=("--env", "SHOP=it's $open"))
    assert done.stdout == "/srv/index it's $open  /\n/srv\n"


@needs_unshare
def test_no_argument_of_any_process_holds_a_variable(shell: Path) -> None:
    variables = {**os.environ, "TOKEN": "shown-to-nobody"}
    script = "echo $TOKEN; read end"
    arguments = command(shell, "run", "--env", "TOKEN", "shop:latest", script)
    with subprocess.Popen(arguments, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"shown-to-nobody\n"
        shown = list(command_lines())
        assert any(script.encode() in each for each in shown)
        assert not any(b"shown-to-nobody" in each for each in shown)
        process.communicate(b"\n")


@needs_unshare
def test_a_variable_without_a_value_has_that_of_the_command(shell: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "two\nlines")
    done = run(shell, 'echo "$HERE ${ABSENT-unset}"', options=("--env", "HERE", "--env", "ABSENT"))
    assert done.stdout == "two\nlines unset\n"


@needs_unshare
def test_variables_are_read_from_a_descriptor(shell: Path) -> None:
    variables = variables_file({"PYTHONPATH": "/none", "WORDS": "a=b\nc"})
    arguments = command(shell, "run", "--env-fd", str(variables), "shop:latest", 'echo "$PYTHONPATH $WORDS"')
    done = subprocess.run(arguments, capture_output=True, text=True, pass_fds=[variables])
    assert done.stdout == "/none a=b\nc\n"
    os.close(variables)


@pytest.mark.parametrize("content", [b"A=1\0B\0", b"=1\0"])
def test_a_descriptor_that_holds_something_else_is_refused(content: bytes) -> None:
    reading, writing = os.pipe()
    os.write(writing, content)
    os.close(writing)
    with pytest.raises(ImageError, match="is not NAME=VALUE"):
        read_variables(reading)


@needs_unshare
def test_an_entrypoint_replaces_the_images_program_and_its_arguments(shell: Path) -> None:
    assert run(shell, "-u", options=("--entrypoint", "id")).stdout == "65532\n"
    assert run(shell, options=("--entrypoint", "id")).stdout.startswith("uid=65532")


@needs_unshare
def test_a_working_directory_is_one_of_the_image(shell: Path) -> None:
    assert run(shell, "pwd", options=("--workdir", "/bin")).stdout == "/bin\n"
    assert run(shell, "pwd", options=("--workdir", "/none")).stderr == "error: /none: No such file or directory\n"


@needs_unshare
def test_a_volume_below_tmp_is_seen_in_the_empty_tmp(shell: Path, tmp_path: Path) -> None:
    (tmp_path / "note").write_text("hello")
    tmp_path.chmod(0o755)
    volumes = ("--volume", f"{tmp_path}:/tmp/a/b", "--volume", f"{tmp_path}/note:/tmp/c/note:ro")
    assert run(shell, "cat /tmp/a/b/note /tmp/c/note", options=volumes).stdout == "hellohello"


@needs_unshare
def test_a_volume_is_given_to_the_images_user_but_nothing_that_it_links_to(shell: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    (volume / "inner").mkdir(parents=True)
    volume.chmod(0o700)
    (tmp_path / "outside").write_text("")
    (volume / "link").symlink_to(tmp_path / "outside")
    (volume / "inner" / "note").write_text("before")
    done = run(shell, "echo after > /data/inner/note && cat /data/inner/note", options=("-v", f"{volume}:/data:U"))
    assert done.stdout == "after\n", done.stderr
    assert (tmp_path / "outside").stat().st_uid == os.geteuid()
    volume.chmod(0o700)
    done = run(shell, "cat /data/inner/note; touch /data/x", options=("-v", f"{volume}:/data:ro,U"))
    assert (done.stdout, done.stderr.count("Read-only")) == ("after\n", 1)


@needs_unshare
def test_a_volume_is_seen_and_can_be_kept_from_writing(shell: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "note").write_text("hello")
    (tmp_path / "in").chmod(0o777)
    volumes = ("--volume", f"{tmp_path}/in:/data/in:ro", "--volume", f"{tmp_path}/in:/out")
    done = run(shell, "cat /data/in/note; touch /data/in/x; touch /out/y", options=volumes)
    assert done.stdout == "hello"
    assert "Read-only" in done.stderr
    assert sorted(path.name for path in (tmp_path / "in").iterdir()) == ["note", "y"]


@needs_unshare
def test_the_exit_code_and_the_signals_are_the_programs(shell: Path) -> None:
    assert run(shell, "exit 7").returncode == 7
    arguments = ("shop:latest", "trap 'echo stopped; exit 3' TERM; echo ready; while :; do read x < /dev/null; done")
    with subprocess.Popen(command(shell, "run", *arguments), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        assert process.stdout.readline() == "stopped\n"
        assert process.wait(20) == 3


@needs_unshare
def test_nothing_stays_mounted_here(shell: Path) -> None:
    run(shell)
    assert str(shell) not in Path("/proc/self/mountinfo").read_text()


def test_a_variable_with_nul_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="contains NUL"):
        prepare(tmp_path, {"Cmd": ["sh"], "Env": ["A=1\0B=2"]}, (), {}, ())


@needs_unshare
def test_pruning_caches_keeps_the_files_of_an_image_that_runs(shell: Path) -> None:
    script = "echo ready; read next; cat /srv/../bin/cat > /dev/null && id -u"
    arguments = ("shop:latest", script)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(shell, "run", *arguments), **pipes) as process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        prune_caches(shell)
        assert process.communicate("\n")[0] == "65532\n"
    prune_caches(shell)
    assert list(shell.glob("home/cache/images/roots/*")) == []
    assert run(shell).stdout == "65532\n"


def test_a_user_by_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="'www-data'; only numeric users"):
        prepare(tmp_path, {"User": "www-data", "Cmd": ["sh"]}, (), {}, ())


def test_an_image_without_a_program_says_so(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="has no command"):
        prepare(tmp_path, {}, (), {}, ())


def test_words_stay_words_on_their_way_to_the_shell() -> None:
    start = Start(
        Path("/r o$ot"), ("sh", "-c", "a; 'b'"), {"A": "$(evil)"}, "1:2", "/", (Mount(Path("/x y"), "d", True),)
    )
    for rootless in (True, False):
        script = mount_script(start, 3, rootless=rootless)
        assert "evil" not in script
        assert "'/r o$ot/d'" in script
        assert script.endswith("""sh -c 'a; '"'"'b'"'"''""")


@pytest.mark.parametrize("text", ["/tmp", "/tmp:", ":/x", "/tmp:x", "/tmp:/x:rx", "/tmp:/../x", "/nothing/here:/x"])
def test_what_is_no_volume_is_refused(text: str) -> None:
    with pytest.raises(ImageError, match="volume"):
        Volume.parse(text)


@pytest.mark.parametrize("name", ["proc", "tmp"])
def test_an_image_with_a_file_where_something_is_mounted_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("")
    with pytest.raises(ImageError, match=f"^/{name}: cannot mount there"):
        prepare(tmp_path, {"Cmd": ["sh"]}, (), {}, ())


@needs_unshare
@pytest.mark.parametrize("rootless", [False, True])
def test_an_images_variables_reach_its_program_and_no_program_of_this_machine(
    shell: Path, tmp_path: Path, rootless: bool
) -> None:
    """glibc's loader takes LD_* for orders, and env(1) would take a name that begins with -S for a command."""
    root = unpacked_root(shell)
    wanted = {"LD_PRELOAD": "/none.so", "LD_DEBUG": "files", "LD_DEBUG_OUTPUT": f"{tmp_path}/loader", "A": "b=c"}
    settings = {
        "Cmd": ["sh", "-c", "echo $LD_PRELOAD $LD_DEBUG_OUTPUT $A; id -u"],
        "Env": [
            *(f"{name}={value}" for name, value in wanted.items()),
            f"-S touch {tmp_path}/escaped=1",
            "=nameless",
        ],
        "User": "7:8",
    }
    if rootless and subprocess.run(["unshare", "--user", "--map-root-user", "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    done = run_start(prepare(root, settings, (), {"PATH": "/nothing:/bin"}, ()), rootless=rootless)
    lines = done.stdout.splitlines()  # and among them what the image's own loader says
    assert f"/none.so {tmp_path}/loader b=c" in lines
    assert lines[-1] == "7"
    assert list(tmp_path.iterdir()) == []


@needs_unshare
def test_the_program_does_not_ignore_what_python_ignores(shell: Path) -> None:
    ignored = re.search(r"SigIgn:\s*(\w+)", run(shell, "exec cat /proc/self/status").stdout)
    assert ignored
    assert not int(ignored[1], 16) & 1 << signal.SIGPIPE - 1


@needs_unshare
@pytest.mark.parametrize(("program", "code"), [("nothing-here", 127), ("/lib", 126)])
def test_a_program_that_cannot_be_executed_is_one_line(shell: Path, program: str, code: int) -> None:
    root = unpacked_root(shell)
    start = prepare(root, {"Cmd": [program], "Env": ["PATH=/bin"]}, (), {}, ())
    done = run_start(start)
    assert done.returncode == code
    assert done.stderr.startswith(f"error: {program}: ")
    assert done.stderr.count("\n") == 1


@needs_unshare
def test_a_place_of_mounts_that_is_a_link_stays_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "dev").symlink_to(tmp_path / "outside")
    script = mount_script(prepare(tmp_path / "root", {"Cmd": ["sh"]}, (), {}, ()), 3, rootless=False)
    assert f"--rbind /dev {tmp_path}/root{tmp_path}/outside\n" in script


@pytest.mark.parametrize("user", ["²", "1:x", "-1", "1 2", "99999999999", "1:2:3", "root"])
def test_a_user_that_is_no_number_is_refused(tmp_path: Path, user: str) -> None:
    with pytest.raises(ImageError, match="only numeric users"):
        prepare(tmp_path, {"User": user, "Cmd": ["sh"]}, (), {}, ())
