"""Start one container and wait for it: namespaces, mounts, a root file system whose changes are forgotten.

``python -I -S enter_container.py SPEC``; only the standard library, since it is started for each container. SPEC is a
JSON file: see ``Start`` in containers.py. On standard output come lines of JSON: ``{"pid": N}`` when the program was
started, ``{"error": "…"}`` if it cannot be, and ``{"exit": N, "signal": N}``. The program is process 1 of its
namespace: it takes no SIGTERM for which it has no handler, and its children die with it, as in a container engine.
"""

import ctypes
import json
import os
import signal
import sys
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNS, _NEWUTS, _NEWIPC, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x20000000, 0x40000000
_RDONLY, _REMOUNT, _BIND, _REC, _PRIVATE = 1, 32, 4096, 16384, 1 << 18
_PDEATHSIG = 1
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def main(spec: dict) -> int:
    _check(_LIBC.prctl(_PDEATHSIG, signal.SIGKILL), "prctl")
    if spec["network"]:
        with Path(f"/proc/{spec['network']}/ns/net").open() as namespace:
            _check(_LIBC.setns(namespace.fileno(), _NEWNET), "the pod's network")
    _check(_LIBC.unshare(_NEWNS | _NEWUTS | _NEWIPC | _NEWPID), "unshare")
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(reader)
        _become(spec, writer)
    os.close(writer)
    with os.fdopen(reader) as errors:
        error = errors.read()
    _say({"error": error} if error else {"pid": pid})
    _, status = os.waitpid(pid, 0)
    if not error:
        _say({"exit": os.WEXITSTATUS(status), "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0})
    return 0


def _become(spec: dict, errors: int) -> None:
    """Process 1: never returns. ``errors`` is closed when the program starts."""
    try:
        _LIBC.prctl(_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        _LIBC.sethostname(spec["hostname"].encode(), len(spec["hostname"].encode()))
        log = os.open(spec["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        null = os.open("/dev/null", os.O_RDONLY)
        _make_root(spec)
        for origin, number in ((null, 0), (log, 1), (log, 2)):
            os.dup2(origin, number)
        _change_user(spec)
        Path(spec["directory"]).mkdir(parents=True, exist_ok=True)
        os.chdir(spec["directory"])
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and so would the program
            signal.signal(number, signal.SIG_DFL)
        os.environ["PATH"] = spec["environment"].get("PATH", os.defpath)  # where execvpe looks
        os.execvpe(spec["command"][0], spec["command"], spec["environment"])
    except BaseException as error:
        os.write(errors, f"{spec['command'][0]}: {error}".encode())
        os._exit(128)


def _make_root(spec: dict) -> None:
    scratch = Path(spec["scratch"])
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("tmpfs", str(scratch), "tmpfs", 0, "mode=755")
    upper, work, root = (scratch / name for name in ("upper", "work", "root"))
    for folder in (upper, work, root):
        folder.mkdir()
    _mount("overlay", str(root), "overlay", 0, f"lowerdir={spec['root']},upperdir={upper},workdir={work}")
    for place in spec["bind"]:
        (root / place.lstrip("/")).mkdir(parents=True, exist_ok=True)
        _mount(place, str(root / place.lstrip("/")), None, _BIND | _REC)
    for place in spec["open"]:
        opened = root / place.lstrip("/")
        opened.chmod(opened.stat().st_mode | 0o055)
    for name in ("proc", "sys", "dev", "tmp"):
        (root / name).mkdir(exist_ok=True)
    _mount("proc", str(root / "proc"), "proc", 0)
    _mount("/sys", str(root / "sys"), None, _BIND | _REC)
    _make_devices(root / "dev")
    placed = [(_inside(root, it["target"]), it) for it in sorted(spec["mounts"], key=lambda it: it["target"])]
    for target, it in placed:
        _make_point(target, directory=Path(it["source"]).is_dir())
        _mount(it["source"], str(target), None, _BIND | _REC)
    for target in [target for target, it in placed if it["readOnly"]] + ([root] if spec["readOnlyRoot"] else []):
        _mount(None, str(target), None, _REMOUNT | _BIND | _RDONLY)
    os.chroot(root)
    os.chdir("/")


def _make_devices(dev: Path) -> None:
    _mount("tmpfs", str(dev), "tmpfs", 0, "mode=755")
    for name in _DEVICES:
        (dev / name).touch()
        _mount(f"/dev/{name}", str(dev / name), None, _BIND)
    (dev / "shm").mkdir()
    _mount("tmpfs", str(dev / "shm"), "tmpfs", 0, "mode=1777")
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (dev / name).symlink_to(f"/proc/self/fd{target}")


def _inside(root: Path, target: str) -> Path:
    """A path in ``root``, its links followed without leaving it."""
    place, parts, followed = root, [it for it in target.split("/") if it], 0
    while parts:
        part = parts.pop(0)
        place = (place.parent if place != root else root) if part == ".." else place / part
        if place.is_symlink():
            followed += 1
            if followed > 40:
                raise OSError(f"{target}: too many links")
            link = str(place.readlink())
            parts = [it for it in link.split("/") if it not in ("", ".")] + parts
            place = root if link.startswith("/") else place.parent
    return place


def _make_point(target: Path, *, directory: bool) -> None:
    if directory:
        target.mkdir(parents=True, exist_ok=True)
    elif not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()


def _change_user(spec: dict) -> None:
    os.setgroups(spec["groups"])
    os.setgid(spec["gid"])
    os.setuid(spec["uid"])
    _LIBC.prctl(_PDEATHSIG, signal.SIGKILL)  # forgotten when the user changes


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    texts = [text if text is None else text.encode() for text in (source, target, kind, data)]
    _check(_LIBC.mount(texts[0], texts[1], texts[2], flags, texts[3]), f"mount {source} on {target}")


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _say(message: dict) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text())))
