"""Images: one digest for the same inputs, layers that change apart, and what is said of them beside them."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from lykeion.core import SILENT, Unavailable, Unsupported
from lykeion.images.building.assembly import BuiltImage, build
from lykeion.images.building.referrers import BILL
from lykeion.images.building.volume import build_volume
from lykeion.images.errors import BaseError, ImageError, LayerError, RequirementError, WheelError
from lykeion.images.image import image_layers
from lykeion.images.image_description import describe_image, image_list, read_attached
from lykeion.images.layers import compression
from lykeion.images.layers.entries import rootfs_entries
from lykeion.images.layers.image_layer import pack
from lykeion.images.layers.layer_files import Files, open_tar
from lykeion.images.layers.tar_reader import TarBudget
from lykeion.images.layers.unpack import unpack
from lykeion.images.pruning import prune
from lykeion.images.python.interpreter import Interpreter
from lykeion.images.running.image_roots import ROOTS, remove_unused_roots, unpacked_root
from lykeion.images.spec import read_spec
from lykeion.oci import EMPTY, BlobWriter, ImageIndex, ImageManifest, Layout, media_types
from lykeion.oci.references import ref_of
from tests.interleaving import Meeting, meet_at_every_act

from .conftest import make_project
from .making import describe, make_rootfs, make_wheel, requirement


def built(project: Path, output: Layout, ref: str = "") -> BuiltImage:
    return build(read_spec(project / "image.yaml"), output, ref=ref, reporter=SILENT)


def layers(image: BuiltImage) -> dict[str, str]:
    return {layer.title: layer.descriptor.digest for layer in image.parts[0].layers}


def test_an_image_has_base_wheels_and_source_in_that_order(project: Path, output: Layout) -> None:
    image = built(project, output)
    assert list(layers(image)) == ["base", "2 wheels", "source"]
    files = Files(output, image.parts[0].layers)
    assert files.read("srv/app/main.py", 100) == b"print('open')\n"
    assert files.read("opt/venv/bin/python3", 5) == b"\x7fELF\x02"
    assert files.read("opt/venv/lib/python3.11/site-packages/shoes/__init__.py", 100) == b"size = 42\n"
    assert b"home = /usr/bin\n" in files.read("opt/venv/pyvenv.cfg", 1000)


def test_the_same_inputs_have_the_same_digest_wherever_and_whenever(tmp_path: Path) -> None:
    """Two directories; other times, umask, locale, time zone, order of creation, hash seed and file order."""
    original = make_project(tmp_path / "one")
    digests = [
        digest_elsewhere(original, tmp_path / "home1", {"LC_ALL": "C", "TZ": "UTC", "PYTHONHASHSEED": "1"}, 0o022)
    ]
    other = tmp_path / "elsewhere" / "two"
    for path in sorted(original.rglob("*"), reverse=True):
        target = other / path.relative_to(original)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            target.symlink_to(path.readlink())
        elif path.is_dir():
            target.mkdir(exist_ok=True)
        else:
            shutil.copy(path, target)
    for path in other.rglob("*"):
        os.utime(path, (1, 1), follow_symlinks=False)
        if path.is_relative_to(other / "app"):
            path.chmod(path.stat().st_mode & 0o700)
    for path in (other / "root").rglob("*"):
        if not path.is_symlink():
            path.chmod((original / path.relative_to(other)).stat().st_mode & 0o7777)
    settings = {"LC_ALL": "C.UTF-8", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "2"}
    digests.append(digest_elsewhere(other, tmp_path / "home2", settings, 0o077))
    assert digests[0] == digests[1]


def digest_elsewhere(project: Path, home: Path, settings: dict[str, str], umask: int) -> str:
    script = "import os, sys; os.umask(int(sys.argv.pop(1))); from lykeion.cli import main; main()"
    command = [
        sys.executable,
        "-c",
        script,
        str(umask),
        "images",
        "build",
        str(project / "image.yaml"),
        "--json",
        "-q",
    ]
    done = subprocess.run(
        command, env={**os.environ, **settings, "LYKEION_HOME": str(home)}, cwd=home.parent, stdout=-1, check=True
    )
    return json.loads(done.stdout)["digest"]


def test_a_changed_line_of_source_changes_the_source_layer_alone(project: Path, output: Layout) -> None:
    before = layers(built(project, output))
    (project / "app" / "main.py").write_text("print('closed')\n")
    after = layers(built(project, output))
    assert {title for title in before if before[title] != after[title]} == {"source"}


def test_a_large_wheel_is_a_layer_that_other_images_share(
    project: Path, output: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lykeion.images.building.python_layers.LARGE_BYTES", 100_000)
    big = make_wheel(project / "wheels", "tensors", files={"tensors/weights.bin": os.urandom(200_000)})
    small = (project / "requirements.txt").read_text()
    (project / "requirements.txt").write_text(small + requirement(big))
    first = layers(built(project, output))
    (project / "requirements.txt").write_text(requirement(big))
    second = layers(built(project, output))
    assert first["tensors 1.0"] == second["tensors 1.0"]
    assert "2 wheels" in first
    assert "environment" in second


def test_wheels_are_unpacked_once(project: Path, output: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    built(project, output)
    monkeypatch.setattr("lykeion.images.building.python_layers.pack", lambda *_: pytest.fail("packed again"))
    built(project, output)


def test_a_damaged_layer_in_the_cache_is_made_anew(project: Path, output: Layout, home: Path, tmp_path: Path) -> None:
    image = built(project, output)
    blob = (
        home
        / "cache"
        / "images"
        / "cache"
        / "blobs"
        / "blobs"
        / "sha256"
        / layers(image)["2 wheels"].removeprefix("sha256:")
    )
    blob.unlink()  # another name of the output's
    blob.write_bytes(b"damaged")
    again = built(project, Layout.open(tmp_path / "again", create=True))
    assert again.descriptor.digest == image.descriptor.digest


def test_the_configuration_says_how_it_is_run(project: Path, output: Layout) -> None:
    describe(
        project,
        python={"requirements": "requirements.txt", "wheels": ["wheels"], "index": False},
        environment={"SHOP": "shoes"},
        labels={"team": "search"},
    )
    (part,) = describe_image(output, built(project, output).descriptor)["platforms"]
    config = part["config"]
    assert config["Entrypoint"] == ["lykeion", "serve"]
    assert config["User"] == "65532:65532"
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert "SHOP=shoes" in config["Env"]
    assert any(variable.startswith("PATH=/opt/venv/bin:") for variable in config["Env"])
    assert config["Labels"]["io.github.lykeion.probe.ready"] == "/readyz"
    assert config["Labels"]["io.github.lykeion.read-only-root"] == "true"
    assert config["Labels"]["team"] == "search"
    assert config["WorkingDir"] == "/srv"


def test_bill_and_provenance_are_attached_once_and_name_no_place_of_this_machine(
    project: Path, output: Layout, tmp_path: Path
) -> None:
    image = built(project, output)
    entries = len(output.entries())
    built(project, output)
    assert len(output.entries()) == entries, "a rebuild attaches no second"
    bill = read_attached(output, image.descriptor, "bill")
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    addresses = {component["purl"] for component in bill["components"]}
    assert addresses == {"pkg:pypi/shoes@1.0", "pkg:pypi/boots@2.0", "pkg:deb/debian/bash@5.2.15-2%2Bb13?arch=amd64"}
    statement = read_attached(output, image.descriptor, "provenance")
    assert statement["subject"][0]["digest"]["sha256"] == image.descriptor.digest.removeprefix("sha256:")
    names = [item["name"] for item in statement["predicate"]["buildDefinition"]["resolvedDependencies"]]
    assert names == ["base rootfs", "boots-2.0-py3-none-any.whl", "shoes-1.0-py3-none-any.whl", "source"]
    assert str(tmp_path) not in json.dumps([bill, statement])


def test_an_image_for_two_machines_is_an_index_with_each_ones_wheels(tmp_path: Path, output: Layout) -> None:
    project = tmp_path / "project"
    make_rootfs(project / "root-amd64")
    make_rootfs(project / "root-arm64", "aarch64")
    tags = ("cp311-cp311-manylinux_2_28_x86_64", "cp311-cp311-manylinux_2_28_aarch64")
    wheels = [make_wheel(project / "wheels", tag=tag, files={"fast.so": tag.encode()}) for tag in tags]
    hashes = " ".join(requirement(wheel).split()[-1] for wheel in wheels)
    (project / "requirements.txt").write_text(f"shoes==1.0 {hashes}\n")
    describe(
        project,
        base={"rootfs": "root-{architecture}"},
        platforms=["linux/arm64", "linux/amd64"],
        python={"requirements": "requirements.txt", "wheels": ["wheels"], "index": False},
    )
    image = built(project, output)
    index = output.manifest(image.descriptor)
    assert isinstance(index, ImageIndex)
    assert [str(entry.platform) for entry in index.manifests] == ["linux/amd64", "linux/arm64"]
    for part, tag in zip(image.parts, tags, strict=True):
        files = Files(output, part.layers)
        assert files.read("opt/venv/lib/python3.11/site-packages/fast.so", 100) == tag.encode()


def test_an_image_stands_on_another_images_layers(project: Path, output: Layout) -> None:
    below = built(project, output)
    describe(project, name="above", base={"layout": str(output.root), "ref": "shop:latest"})
    above = built(project, output)
    assert [layer.descriptor for layer in above.parts[0].base.layers] == [
        layer.descriptor for layer in below.parts[0].layers
    ]
    assert above.parts[0].base.digest == below.descriptor.digest


def test_a_base_for_another_machine_is_refused(tmp_path: Path, output: Layout) -> None:
    make_rootfs(tmp_path / "project" / "root", "aarch64")
    describe(tmp_path / "project")
    with pytest.raises(BaseError, match="is for aarch64, and the image is for linux/amd64"):
        built(tmp_path / "project", output)


def test_a_base_without_python_takes_no_requirements(project: Path, output: Layout) -> None:
    (project / "root" / "usr" / "bin" / "python3").unlink()
    with pytest.raises(BaseError, match="no python3 on its PATH"):
        built(project, output)


def test_what_cannot_be_built_leaves_no_image(project: Path, output: Layout) -> None:
    (project / "requirements.txt").write_text("missing==1 --hash=sha256:" + "0" * 64)
    with pytest.raises(RequirementError, match="no wheel of missing==1"):
        built(project, output)
    assert output.entries() == ()


def test_wheels_that_differ_about_a_file_are_reported(project: Path, output: Layout) -> None:
    wheels = [
        make_wheel(project / "wheels", name, files={"shared.py": content, "same.py": b""})
        for name, content in (("one", b"1"), ("two", b"2"))
    ]
    (project / "requirements.txt").write_text(requirement(*wheels))
    image = built(project, output)
    assert [line.split("site-packages/")[1] for line in image.parts[0].python.overlaps] == [
        "shared.py is in one and in two, whose file is used"
    ]


def test_a_wheel_cannot_replace_the_images_python(project: Path, output: Layout) -> None:
    wheel = make_wheel(project / "wheels", "evil", files={"evil-1.0.data/scripts/python3": b"#!/bin/sh\n"})
    (project / "requirements.txt").write_text(requirement(wheel))
    with pytest.raises(WheelError, match="replace the environment's own /opt/venv/bin/python3"):
        built(project, output)


def test_source_goes_through_the_bases_links_and_leaves_its_directories_alone(project: Path, output: Layout) -> None:
    describe(project, sources=[{"from": "app", "to": "/lib/app"}, {"from": "app/main.py", "to": "/tmp/main.py"}])
    image = built(project, output)
    with open_tar(output, image.parts[0].own[0].descriptor, TarBudget()) as tar:
        names = {member.name for member in tar}
    assert {"usr/lib/app", "usr/lib/app/main.py", "tmp/main.py"} <= names
    assert not names & {"lib", "lib/app", "usr", "usr/lib", "tmp", "srv"}


def test_two_sources_cannot_want_one_path(project: Path, output: Layout) -> None:
    describe(project, sources=[{"from": "app", "to": "/srv/app"}, {"from": "app/start", "to": "/srv/app/main.py"}])
    with pytest.raises(ImageError, match=r"two sources have /srv/app/main\.py"):
        built(project, output)


def test_a_model_is_served_with_its_card_and_nothing_else_of_its_run(project: Path, output: Layout) -> None:
    run = project / "run"
    (run / "checkpoints").mkdir(parents=True)
    for name in ("model.tflite", "model.json", "weights.npz", "README.md"):
        (run / name).write_text(name)
    spec = replace(read_spec(project / "image.yaml"), model=run)
    image = build(spec, output, reporter=SILENT)
    with open_tar(output, image.parts[0].own[0].descriptor, TarBudget()) as tar:
        names = {member.name for member in tar if member.kind == "file"}
    assert names == {"srv/model/model.tflite", "srv/model/model.json", "srv/model/README.md"}
    (part,) = describe_image(output, image.descriptor)["platforms"]
    assert "LYKEION_EMBEDDER=/srv/model/model.tflite" in part["config"]["Env"]


def test_a_directory_becomes_a_volume_for_every_machine(project: Path, output: Layout) -> None:
    volume = build_volume(project / "app", output, "app:v1", compression="none")
    index = output.manifest(volume.descriptor)
    assert isinstance(index, ImageIndex)
    assert [str(entry.platform) for entry in index.manifests] == ["linux/amd64", "linux/arm64"]
    assert Files(output, [volume.layer]).read("pages/shoes.html", 100) == b"<h1>Shoes</h1>\n"
    assert build_volume(project / "app", output, "app:v2", compression="none").descriptor == volume.descriptor
    assert [image["ref"] for image in image_list(output)] == ["app:v1", "app:v2"]


def test_zstd_layers_have_the_same_tar(project: Path, output: Layout) -> None:
    plain = built(project, output)
    describe(
        project,
        compression="zstd",
        python={"requirements": "requirements.txt", "wheels": ["wheels"], "index": False},
        sources=[{"from": "app", "to": "/srv/app"}],
    )
    small = built(project, output, "shop:zstd")
    assert [layer.diff_id for layer in small.parts[0].layers] == [layer.diff_id for layer in plain.parts[0].layers]
    assert all(layer.descriptor.media_type.endswith("+zstd") for layer in small.parts[0].layers)
    again = built(project, output, "shop:zstd")
    assert again.descriptor == small.descriptor


def test_another_version_of_the_compressor_is_refused(
    project: Path, output: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compression, "LIBZSTD", (1, 4, 0))
    describe(project, compression="zstd")
    with pytest.raises(Unsupported, match=r"layers need 1\.4\.0; install zstandard .* or set `compression: none`"):
        built(project, output)


def test_layers_are_what_docker_reads(project: Path, output: Layout) -> None:
    image = built(project, output)
    path = output.path_of(image.parts[0].layers[0].descriptor.digest)
    with tarfile.open(path) as tar:
        assert tar.getmember("tmp").mode == 0o1777
        assert tar.getmember("lib").linkname == "usr/lib"


def test_prune_keeps_what_named_images_need(project: Path, output: Layout) -> None:
    old = built(project, output)
    (project / "app" / "main.py").write_text("print('closed')\n")
    new = built(project, output)
    pruned = prune(output)
    assert pruned.blobs == 7, "manifest, configuration and source of the old; its bill and provenance, two blobs each"
    assert not output.has(old.descriptor.digest)
    assert len(output.referrers(new.descriptor.digest)) == 2
    for layer in new.parts[0].layers:
        output.verify(layer.descriptor)
    assert prune(output).blobs == 0


@pytest.mark.slow
@pytest.mark.parametrize("order", ["the build is paused", "pruning is paused"])
def test_a_build_loses_nothing_to_a_pruning_of_caches_at_the_same_time(project: Path, order: str) -> None:
    describe(project, sources=[{"from": "app", "to": "/srv/app"}], base={"rootfs": "root"})

    def meeting(number: int) -> Meeting:
        built(project, Layout.open(project / "earlier", create=True))  # so that the cache is full
        output = Layout.open(project / f"output{number}", create=True)
        images: list[BuiltImage] = []
        calls = (lambda: images.append(built(project, output)), lambda: prune(output, caches=True))

        def check() -> None:
            for layer in images[0].parts[0].layers:
                output.verify(layer.descriptor)

        return Meeting(*(calls if order == "the build is paused" else reversed(calls)), check)

    assert meet_at_every_act(meeting, step=7)


@pytest.mark.slow
@pytest.mark.parametrize("order", ["the start is paused", "pruning is paused"])
@pytest.mark.parametrize("unpacked", [False, True])
def test_a_start_loses_nothing_to_a_pruning_of_caches_at_the_same_time(
    project: Path, output: Layout, order: str, unpacked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(project, sources=[{"from": "app", "to": "/srv/app"}], base={"rootfs": "root"})
    digest = built(project, output).parts[0].manifest
    manifest = output.manifest(digest)
    assert isinstance(manifest, ImageManifest)

    def meeting(number: int) -> Meeting:
        home = project / f"home{number}"
        monkeypatch.setenv("LYKEION_HOME", str(home))
        if unpacked:
            unpack(
                output, image_layers(output, manifest), home / "cache" / ROOTS / digest.digest[7:], reporter=SILENT
            )
        roots: list[Path] = []
        calls = (
            lambda: roots.append(unpacked_root(output, digest.digest, manifest, reporter=SILENT)),
            remove_unused_roots,
        )

        def check() -> None:
            assert (roots[0] / "srv/app/main.py").read_text() == "print('open')\n"

        return Meeting(*(calls if order == "the start is paused" else reversed(calls)), check)

    meet_at_every_act(meeting, step=1 if unpacked else 5)


@pytest.mark.parametrize(
    ("name", "value"), [("Env", "PATH=/bin"), ("Labels", ["a"]), ("Entrypoint", "sh"), ("User", 0), ("Cmd", [1])]
)
def test_a_base_with_an_odd_configuration_is_refused(project: Path, output: Layout, name: str, value: object) -> None:
    settings = {"os": "linux", "architecture": "amd64", "config": {name: value}}
    config = output.put(json.dumps(settings).encode(), media_types.CONFIG)
    output.put_manifest(ImageManifest(config, ()), "odd:latest")
    describe(project, base={"layout": str(output.root), "ref": "odd:latest"})
    with pytest.raises(ImageError, match=f"{name} has the wrong type"):
        built(project, output)


def test_the_bases_full_version_of_python_is_read_from_its_files(
    tmp_path: Path, project: Path, output: Layout
) -> None:
    assert interpreter(built(project, output)).full_version == "", "it is not guessed"
    shutil.rmtree(project / "root")
    make_rootfs(project / "root", python="3.11.2")
    assert interpreter(built(project, output)).full_version == "3.11.2"
    shutil.rmtree(project / "root")
    root = make_rootfs(project / "root")
    (root / "usr" / "lib" / "libpython3.11.so.1.0").write_bytes(b"x\x003.11.4rc1+\x00y")
    assert interpreter(built(project, output)).full_version == "3.11.4rc1"
    header = root / "usr" / "include" / "python3.11" / "patchlevel.h"
    header.parent.mkdir(parents=True)
    header.write_text('#define PY_RELEASE_SERIAL 0\n#define PY_VERSION      "3.11.7"\n')
    assert interpreter(built(project, output)).full_version == "3.11.7"


def interpreter(image: BuiltImage) -> Interpreter:
    found = image.parts[0].base.facts.interpreter
    assert found
    return found


def test_a_bill_says_what_is_installed_and_nothing_else(project: Path, output: Layout) -> None:
    other = make_wheel(project / "wheels", version="1.17.0")
    lock = (project / "requirements.txt").read_text()
    wrong = requirement(other).split("sha256:")[1].strip()
    (project / "requirements.txt").write_text(
        re.sub(r"(shoes==1\.0 .*?sha256:)\w+", rf"\g<1>{wrong}", lock, flags=re.S)
    )
    with pytest.raises(RequirementError, match=r"shoes==1\.0 is locked with the hash of shoes-1\.17\.0"):
        built(project, output)
    assert output.entries() == ()


@pytest.mark.slow
def test_wheels_that_differ_are_compared_without_being_held_in_memory(
    tmp_path: Path, project: Path, output: Layout
) -> None:
    wheels = [make_wheel(project / "wheels", name, files={"big": bytes(50 << 20)}) for name in ("one", "two")]
    (project / "requirements.txt").write_text(requirement(*wheels))
    tracemalloc.start()
    assert built(project, output).parts[0].python.overlaps == ()
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("document", [b"[" * 100_000, b"\xff", b"{", b'{"a": 1, "a": 2}'])
def test_an_attached_document_that_is_none_is_one_line(project: Path, output: Layout, document: bytes) -> None:
    image = built(project, output)
    prior = output.referrers(image.descriptor.digest, BILL)[0]
    output.update(lambda entries: tuple(entry for entry in entries if entry.digest != prior.digest))
    blob = output.put(document, BILL)
    output.put_manifest(ImageManifest(EMPTY, (blob,), BILL, image.descriptor))
    with pytest.raises(ImageError, match=r"^not a bill: not JSON") as caught:
        read_attached(output, image.descriptor, "bill")
    assert "\n" not in str(caught.value)


def test_a_base_cannot_make_the_search_for_its_versions_endless(project: Path, output: Layout) -> None:
    libraries = project / "root" / "usr" / "lib" / "x86_64-linux-gnu"
    for content in (b"GNU C Library " * 400_000, b"GNU C Library version 2.999999999\n"):
        (libraries / "libc.so.6").write_bytes(content)
        with pytest.raises(BaseError, match="neither glibc nor musl"):
            built(project, output)


def test_a_base_keeps_its_signal_volumes_health_check_and_shell(project: Path, output: Layout) -> None:
    settings = {
        "Healthcheck": {"Test": ["CMD", "/bin/check"], "Interval": 30_000_000_000},
        "Shell": ["/bin/bash", "-c"],
        "StopSignal": "SIGQUIT",
        "Volumes": {"/data": {}},
    }
    below(project, output, settings)
    (part,) = describe_image(output, built(project, output).descriptor)["platforms"]
    assert {name: part["config"].get(name) for name in settings} == settings
    assert part["config"]["Entrypoint"] == ["lykeion", "serve"]


@pytest.mark.parametrize(
    "settings",
    [{"StopSignal": 3}, {"Volumes": ["/data"]}, {"Healthcheck": "true"}, {"Shell": "/bin/sh"}, {"ExposedPorts": 80}],
    ids=str,
)
def test_settings_of_another_type_are_refused(project: Path, output: Layout, settings: dict[str, object]) -> None:
    below(project, output, settings)
    with pytest.raises(ImageError, match=f"{next(iter(settings))} has the wrong type"):
        built(project, output)


def test_a_base_whose_layer_is_not_what_it_says_is_refused(project: Path, output: Layout) -> None:
    below(project, output, {}, diff_ids=["sha256:" + "0" * 64])
    with pytest.raises(LayerError, match="the image's configuration says sha256:000"):
        built(project, output)
    assert [entry for entry in output.entries() if ref_of(entry) == "shop:latest"] == []


def below(project: Path, output: Layout, settings: dict[str, object], **rootfs: object) -> None:
    """Make the project's base an image with these settings."""
    layer = pack(output, rootfs_entries(project / "root"), "none", "base")
    value = {"architecture": "amd64", "os": "linux", "config": settings}
    value["rootfs"] = {"type": "layers", "diff_ids": [layer.diff_id], **rootfs}
    config = output.put(json.dumps(value).encode(), media_types.CONFIG)
    output.put_manifest(ImageManifest(config, (layer.descriptor,)), "base:v1")
    describe(project, base={"layout": str(output.root), "ref": "base:v1"})


def test_a_full_disk_is_one_line_and_leaves_no_image(
    project: Path, output: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(BlobWriter, "write", full)
    for work in (
        lambda: built(project, output),
        lambda: build_volume(project / "app", output, "app:v1", compression="none"),
        lambda: build_volume(project / "app", output, "app:v1"),
    ):
        with pytest.raises(
            Unavailable, match=r"cannot be written \(No space left on device\); free disk space"
        ) as caught:
            work()
        assert "\n" not in str(caught.value)
    assert output.entries() == ()
    assert list((output.root / "ingest").glob("*.part")) == []


@pytest.mark.parametrize(
    "text",
    [
        '{"config": {"Labels": {"a": "\\ud800"}}}',
        '{"config": {"x": NaN}}',
        "[" * 100_000,
        '{"config": [1]}',
        "[]",
        '{"os": 1e999}',
    ],
    ids=lambda text: text[:30],
)
def test_a_configuration_that_is_none_is_one_line(output: Layout, text: str) -> None:
    config = output.put(text.encode(), media_types.CONFIG)
    image = output.put_manifest(ImageManifest(config, ()), "odd:v1")
    with pytest.raises(ImageError, match="not an image's configuration") as caught:
        describe_image(output, image)
    assert "\n" not in str(caught.value)
