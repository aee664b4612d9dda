"""What one build of an image consists of: fetch its source, build, push. Pure."""

import hashlib
import json
from collections.abc import Iterator

import msgspec

from lykeion.control import AnyResource, Lookup, child_name
from lykeion.platform.lookups import ModelVersion, SourceDigest
from lykeion.platform.resources.plain_kinds import WorkSpec
from lykeion.platform.resources.programs import VOLUME, Program, VolumeMount, VolumeSpec
from lykeion.platform.resources.runs import ImageBuild, ImageBuildSpec, OneBuild

from .stages import ProgramStage

VARIABLE = "LYKEION_SOURCE"
BUILDS = ("source", "file", "tags", "model", "trust", "push", "build")
"""The fields of a spec that a change of makes another build."""


def lookup_of(spec: ImageBuildSpec) -> Lookup:
    """What tells whether the source has changed."""
    source = spec.source
    if source.artifact:
        return ModelVersion(source.artifact)
    if source.git:
        return SourceDigest(repository=source.git.repository, revision=source.git.revision)
    return SourceDigest(directory=source.directory or "")


def build_key(spec: ImageBuildSpec, source: str) -> str:
    """Equal for builds that need not be repeated; ``source`` is the digest."""
    fields = {name: msgspec.to_builtins(getattr(spec, name)) for name in BUILDS}
    return hashlib.sha256(json.dumps([fields, source], sort_keys=True).encode()).hexdigest()[:10]


def stages_of(build: ImageBuild, run: OneBuild, image: str = "") -> Iterator[ProgramStage]:
    """``image`` is the digest that the program of the stage before the last has reported, once it has."""
    spec = build.spec
    if fetch := _fetch(build, run):
        yield ProgramStage("SourceNotFetched", {f"{run.key}/fetch": fetch})
    yield ProgramStage("BuildFailed", {build_part(run): _build(build, run)})
    if image:
        pushes = {
            f"{run.key}/push-{number}": _command(spec, "push", image, target)
            for number, target in enumerate(spec.push)
        }
        yield from [ProgramStage("NotPushed", pushes)] if pushes else []


def build_part(run: OneBuild) -> str:
    """The part that the program has which builds."""
    return f"{run.key}/build"


def source_volumes(build: ImageBuild, run: OneBuild) -> tuple[AnyResource, ...]:
    """Where the source is fetched to; a directory is used where it is."""
    if build.spec.source.directory:
        return ()
    return (VOLUME.new(_volume(build, run), VolumeSpec(), namespace=build.metadata.namespace, owner=build),)


def _volume(build: ImageBuild, run: OneBuild) -> str:
    return child_name(build, f"{run.key}/source")


def _fetch(build: ImageBuild, run: OneBuild) -> WorkSpec | None:
    spec, to = build.spec, f"$({VARIABLE})/files"
    if spec.source.git:
        work = _command(spec, "checkout", _literal(spec.source.git.repository), run.source.digest, to, "--replace")
    elif spec.source.artifact:
        work = _command(spec, "pull", run.source.reference, to, "--quiet", group="models")
    else:
        return None
    return _with_volume(build, run, work)


def _build(build: ImageBuild, run: OneBuild) -> WorkSpec:
    spec = build.spec
    place = _literal(spec.source.directory or "") or f"$({VARIABLE})/files"
    options = [word for tag in spec.tags for word in ("--tag", tag)]
    options += ["--model", spec.model] if spec.model else []
    options += ["--trust", _literal(spec.trust)] if spec.trust else []
    options += [] if spec.source.directory else ["--context", place]
    options += ["--digest-file", "$(LYKEION_RESULT)", "--quiet"]
    work = _command(spec, "build", f"{place}/{spec.file}", *options)
    return work if spec.source.directory else _with_volume(build, run, work)


def _command(spec: ImageBuildSpec, *words: str, group: str = "images") -> WorkSpec:
    program = Program(command=("lykeion", group), args=words)
    return WorkSpec(program=program, completions=1, retries=spec.retries, uses_registry=True)


def _literal(text: str) -> str:
    """As an argument in which nothing is replaced."""
    return text.replace("$", "$$")


def _with_volume(build: ImageBuild, run: OneBuild, work: WorkSpec) -> WorkSpec:
    mount = VolumeMount(volume=_volume(build, run), variable=VARIABLE)
    return msgspec.structs.replace(work, mounts=(mount,))
