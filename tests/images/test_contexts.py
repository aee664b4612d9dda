"""Where images are built from: a directory by its digest, a commit without what it could run or reach."""

import os
import subprocess
from pathlib import Path

import pytest

from lykeion.core import NotFound, Unavailable
from lykeion.images.contexts import git_context
from lykeion.images.contexts.directory_digest import directory_digest, directory_signature
from lykeion.images.contexts.git_context import check_out, git_commit
from lykeion.images.contexts.inside_context import check_inside
from lykeion.images.errors import ContextError
from lykeion.images.spec import read_spec

from .making import describe


def _git(place: Path, *words: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.com")
    return subprocess.run(["git", *identity, *words], cwd=place, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    place = tmp_path / "repository"
    place.mkdir()
    _git(place, "init", "--quiet", "--initial-branch=main")
    (place / "image.yaml").write_text("schema: 1\n")
    (place / "link").symlink_to("image.yaml")
    _git(place, "add", ".")
    _git(place, "commit", "--quiet", "-m", "One")
    return place


def _commit(place: Path, name: str, text: str) -> str:
    (place / name).write_text(text)
    _git(place, "add", ".")
    _git(place, "commit", "--quiet", "-m", name)
    return _git(place, "rev-parse", "HEAD").strip()


def test_a_directory_has_another_digest_if_any_file_changes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "one").write_text("1")
    (tmp_path / "b").write_text("2")
    digests = [directory_digest(tmp_path)]
    changes = (
        lambda: (tmp_path / "b").write_text("3"),
        lambda: (tmp_path / "b").chmod(0o755),
        lambda: (tmp_path / "b").rename(tmp_path / "a" / "b"),
        lambda: (tmp_path / "b").symlink_to("a/b"),
        lambda: (tmp_path / "c").symlink_to("a"),
        lambda: (tmp_path / "empty").mkdir(),
        lambda: (tmp_path / "empty").chmod(0o700),
    )
    for change in changes:
        change()
        digests.append(directory_digest(tmp_path))
    assert len(set(digests)) == len(changes) + 1


def test_times_and_what_images_never_hold_are_no_part_of_the_digest(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    before, signature = directory_digest(tmp_path), directory_signature(tmp_path)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_text("")
    assert directory_signature(tmp_path) == signature
    (tmp_path / "one").touch()
    assert directory_digest(tmp_path) == before
    assert directory_signature(tmp_path) != signature


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(ContextError, match="closed: cannot be read"):
        directory_digest(tmp_path)


def test_a_directory_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is not a directory"):
        directory_digest(tmp_path / "none")


def test_a_branch_or_tag_names_a_commit(repository: Path) -> None:
    first = git_commit(str(repository), "main")
    _git(repository, "tag", "-a", "v1", "-m", "one")
    second = _commit(repository, "more", "x")
    assert git_commit(str(repository), "v1") == first, "the commit, not the tag's own object"
    assert git_commit(str(repository), "main") == git_commit(str(repository), "HEAD") == second
    with pytest.raises(NotFound, match="no branch or tag v2"):
        git_commit(str(repository), "v2")


def test_a_commit_is_written_without_its_history(repository: Path, tmp_path: Path) -> None:
    commit = _commit(repository, "more", "x")
    check_out(f"file://{repository}", commit, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["image.yaml", "link", "more"]


def test_a_directory_that_exists_is_replaced_only_if_asked(repository: Path, tmp_path: Path) -> None:
    commit = git_commit(str(repository), "main")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").write_text("")
    with pytest.raises(ContextError, match="out exists"):
        check_out(str(repository), commit, tmp_path / "out")
    check_out(str(repository), commit, tmp_path / "out", replace=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["image.yaml", "link"]


def test_no_hook_of_the_user_runs_and_no_submodule_is_fetched(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (hooks / "post-checkout").chmod(0o755)
    (tmp_path / "config").write_text(f"[core]\nhooksPath = {hooks}\n[submodule]\nrecurse = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    inner = tmp_path / "inner"
    subprocess.run(["git", "clone", "--quiet", str(repository), str(inner)], check=True, capture_output=True)
    _git(repository, "-c", "protocol.file.allow=always", "submodule", "add", str(inner), "inner")
    _git(repository, "commit", "--quiet", "-m", "With a submodule")
    (tmp_path / "ran").unlink(missing_ok=True)
    check_out(str(repository), git_commit(str(repository), "main"), tmp_path / "out")
    assert not (tmp_path / "ran").exists()
    assert list((tmp_path / "out" / "inner").iterdir()) == []


def test_a_repository_beyond_the_limits_is_refused_and_leaves_nothing(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_context, "MAX_BYTES", 10)
    commit = _commit(repository, "more", "more than ten bytes")
    with pytest.raises(ContextError, match="has more than"):
        check_out(str(repository), commit, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("repository", ["ext::sh -c touch% x", "--upload-pack=touch x", "nothing", "fd::3"])
def test_what_is_no_repository_is_refused(repository: str) -> None:
    with pytest.raises(ContextError, match="is not a repository"):
        git_commit(repository, "main")


@pytest.mark.parametrize("revision", ["--all", "a..b", "a b", "", "main:x"])
def test_what_is_no_revision_is_refused(revision: str) -> None:
    with pytest.raises(ContextError, match="is not a branch, tag or commit"):
        git_commit("https://example.com/shop.git", revision)


def test_a_repository_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="git ls-remote: ") as caught:
        git_commit(str(tmp_path / "none"), "main")
    assert "\n" not in str(caught.value)


def test_a_description_that_uses_files_outside_of_its_context_is_refused(tmp_path: Path) -> None:
    context = tmp_path / "context"
    (context / "root").mkdir(parents=True)
    describe(context, sources=[{"from": "root", "to": "/srv/a"}])
    check_inside(read_spec(context / "image.yaml"), context)
    (context / "out").symlink_to("/etc/hostname")
    for origin in ("/etc/hostname", "../context/../../", "out"):
        describe(context, sources=[{"from": origin, "to": "/srv/a"}])
        with pytest.raises(ContextError, match="outside of"):
            check_inside(read_spec(context / "image.yaml"), context)
