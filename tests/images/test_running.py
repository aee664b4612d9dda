"""An image is started on this machine: as its user, read-only, with its environment."""

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lykeion.images.errors import ImageError
from lykeion.images.run_image import Mount, Start, Volume, mount_script, prepare, sandbox

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
    return ["env", environment, sys.executable, "-c", SCRIPT, "images", verb, "--quiet", *arguments]


def unpacked_root(shell: Path) -> Path:
    run(shell)
    return next(shell.glob("home/cache/images/roots/*"))


def run(shell: Path, *arguments: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(shell, "run", *options, "shop:latest", *arguments), capture_output=True, text=True)


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
        script = mount_script(start, rootless=rootless)
        assert "'A=$(evil)'" in script
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
    command = sandbox(prepare(root, settings, (), {"PATH": "/nothing:/bin"}, ()), rootless=rootless)
    if rootless and subprocess.run([*command[: command.index("--mount")], "true"], capture_output=True).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(command, capture_output=True, text=True)
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
    done = subprocess.run(sandbox(start, rootless=False), capture_output=True, text=True)
    assert done.returncode == code
    assert done.stderr.startswith(f"error: {program}: ")
    assert done.stderr.count("\n") == 1


@needs_unshare
def test_a_place_of_mounts_that_is_a_link_stays_in_the_image(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "dev").symlink_to(tmp_path / "outside")
    script = mount_script(prepare(tmp_path / "root", {"Cmd": ["sh"]}, (), {}, ()), rootless=False)
    assert f"--rbind /dev {tmp_path}/root{tmp_path}/outside\n" in script


@pytest.mark.parametrize("user", ["²", "1:x", "-1", "1 2", "99999999999", "1:2:3", "root"])
def test_a_user_that_is_no_number_is_refused(tmp_path: Path, user: str) -> None:
    with pytest.raises(ImageError, match="only numeric users"):
        prepare(tmp_path, {"User": user, "Cmd": ["sh"]}, (), {}, ())
