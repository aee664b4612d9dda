"""A commit of a Git repository as a directory of files, by git(1): no hooks, no submodules, no history."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from lykeion.core import NotFound, Unavailable, Unsupported, writing
from lykeion.images.errors import ContextError

from .directory_digest import MAX_FILES

MAX_BYTES = 4 << 30
LOOK_S, FETCH_S = 30, 900
_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"(https?|ssh|git|file)://[!-~]+|[A-Za-z0-9._-]+@[A-Za-z0-9._-]+:[!-~]+|/[^\0]+")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/-]*")
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "submodule.recurse": "false",
    "protocol.ext.allow": "never",
    "gc.auto": "0",
    "advice.detachedHead": "false",
}


def git_commit(repository: str, revision: str) -> str:
    """The commit that a branch or tag names now; a full commit is returned as it is.

    Raises NotFound, Unavailable if the repository does not answer, ContextError, Unsupported without git.
    """
    _check(repository, revision)
    if _COMMIT.fullmatch(revision):
        return revision
    names = (
        ("HEAD",)
        if revision == "HEAD"
        else (f"refs/tags/{revision}^{{}}", f"refs/tags/{revision}", f"refs/heads/{revision}")
    )
    listed = _git("ls-remote", "--", repository, *names, timeout_s=LOOK_S)
    found = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
    commit = next((found[name] for name in names if name in found), "")
    if not _COMMIT.fullmatch(commit):
        raise NotFound(f"{repository} has no branch or tag {revision}")
    return commit


def check_out(repository: str, commit: str, directory: Path, *, replace: bool = False) -> None:
    """Write the files of a commit to ``directory``, all or none. Raises as ``git_commit`` does.

    With ``replace`` the directory may exist, and is replaced.
    """
    _check(repository, commit)
    if directory.exists() and not replace:
        raise ContextError(f"{directory} exists; name another directory, or replace it")
    work = directory.with_name(f".{directory.name}.partial")
    shutil.rmtree(work, ignore_errors=True)
    with writing(directory, Unavailable):
        work.mkdir(parents=True)
    try:
        _git("init", "--quiet", "--template=", timeout_s=LOOK_S, at=work)
        fetch = ("fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", repository, commit)
        _git(*fetch, timeout_s=FETCH_S, at=work)
        _check_size(_git("ls-tree", "-r", "-l", "-z", "FETCH_HEAD", timeout_s=LOOK_S, at=work), repository)
        _git("checkout", "--quiet", "--detach", "FETCH_HEAD", timeout_s=FETCH_S, at=work)
        with writing(directory, Unavailable):
            shutil.rmtree(work / ".git")
            shutil.rmtree(directory, ignore_errors=True)
            work.rename(directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _check(repository: str, revision: str) -> None:
    if not _REPOSITORY.fullmatch(repository):
        raise ContextError(f"{repository[:80]!r} is not a repository, such as https://example.com/shop.git")
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise ContextError(f"{revision[:80]!r} is not a branch, tag or commit")


def _check_size(tree: str, repository: str) -> None:
    """``tree`` has MODE TYPE OBJECT SIZE, a tab and a path for each file."""
    sizes = [line.partition("\t")[0].split()[-1] for line in tree.split("\0")[:-1]]
    if len(sizes) > MAX_FILES or sum(int(size) for size in sizes if size.isdigit()) > MAX_BYTES:
        raise ContextError(f"{repository} has more than {MAX_FILES:,} files or {MAX_BYTES >> 30} GiB")


def _git(*arguments: str, timeout_s: float, at: Path | None = None) -> str:
    """What git prints. Raises Unavailable with its last line."""
    if not shutil.which("git"):
        raise Unsupported("git is not installed")
    settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"}
    environment = {name: value for name, value in environment.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")}
    try:
        done = subprocess.run(
            ["git", *settings, *arguments],
            env=environment,
            cwd=at,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"git {arguments[0]} has not ended in {timeout_s:g} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise Unavailable(f"git {arguments[0]}: {lines[0].removeprefix('fatal: ')}")
    return done.stdout
