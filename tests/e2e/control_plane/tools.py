"""Kubernetes' own programs for the tests, built from the Go modules beside this file, once for each go.sum.

They lie in ``$LYKEION_TEST_TOOLS``, else ``$XDG_CACHE_HOME/lykeion-tests/MODULE-<digest of its go.sum>``. A tool
is built when it is first asked for: all of Kubernetes takes four minutes on two cores, etcd half a minute.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lykeion.core import locked

MODULE = Path(__file__).parent
KUBERNETES = "v1.34.3"
LEAST_GO = (1, 25)


@dataclass(frozen=True)
class Tool:
    """``module`` is a folder with a go.mod; ``variables`` are set when it is linked: Go packages' strings."""

    package: str
    module: str = "."
    variables: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    """Links in its module's repository, and their targets: the module as it is served is without them."""
    on_demand: bool = False
    """Takes so long to build that tests do not: ``make kubernetes-addons`` does."""


def _kubernetes(program: str, module: str = ".") -> Tool:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    values = {
        "gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor, "gitCommit": KUBERNETES,
        "gitTreeState": "clean",
    }  # fmt: skip
    places = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    variables = {f"{place}.{key}": value for place in places for key, value in values.items()}
    return Tool(f"k8s.io/kubernetes/cmd/{program}", module, variables=variables)


_ARGO_LINKS = {
    "workflow/executor/osspecific/signal_linux.go": "workflow/executor/osspecific/signal_darwin.go",
}
TOOLS = {
    "etcd": Tool("go.etcd.io/etcd/server/v3"),
    "kube-apiserver": _kubernetes("kube-apiserver"),
    "kube-controller-manager": _kubernetes("kube-controller-manager"),
    "kube-scheduler": _kubernetes("kube-scheduler"),
    "kubectl": _kubernetes("kubectl"),
    "kubemark": _kubernetes("kubemark", "kubemark"),
    "jobset": Tool("sigs.k8s.io/jobset", "jobset"),
    "traefik": Tool("github.com/traefik/traefik/v3/cmd/traefik", "traefik", on_demand=True),
    "kueue": Tool("sigs.k8s.io/kueue/cmd/kueue", "kueue", on_demand=True),
    "workflow-controller": Tool(
        "github.com/argoproj/argo-workflows/v3/cmd/workflow-controller", "argo", on_demand=True
    ),
    "argoexec": Tool("github.com/argoproj/argo-workflows/v3/cmd/argoexec", "argo", links=_ARGO_LINKS, on_demand=True),
}
_UNREACHABLE = re.compile(r"dial tcp|no such host|i/o timeout|TLS handshake|proxyconnect|: (403|404|410|5\d\d) |EOF$")
"""What Go prints when a module cannot be fetched."""


def tool(name: str, *, build: bool = False) -> Path:
    """The program, built if it is not there yet and does not take too long, or with ``build``.

    Skips the test where it is not there, where there is no Go, or no network to build it.
    """
    it = TOOLS[name]
    path = _folder(it.module) / name
    if not build:
        _skip_unbuilt(name)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.parent / "lock"):
            if not path.exists():
                _build(it, path)
    return path


def _skip_unbuilt(name: str) -> None:
    """Before anything of it is installed in a cluster, where it would stay."""
    it = TOOLS[name]
    if it.on_demand and not (_folder(it.module) / name).exists():
        pytest.skip(f"{name} is not built; make kubernetes-addons builds it")


def module_files(name: str, module: str, *, build: bool = False) -> Path:
    """The source of a Go module that a tool is built from, such as its definitions of resources."""
    if not build:
        _skip_unbuilt(name)
    command = [go_program(), "list", "-m", "-f", "{{.Dir}}", module]
    cwd = MODULE / TOOLS[name].module
    fetched = subprocess.run([command[0], "mod", "download", module], cwd=cwd, capture_output=True, text=True)
    if fetched.returncode:
        pytest.skip(f"{name}: {module} cannot be fetched: {fetched.stderr.strip()[-200:]}")
    return Path(subprocess.run(command, cwd=cwd, check=True, capture_output=True, text=True).stdout.strip())


def _folder(module: str) -> Path:
    if named := os.environ.get("LYKEION_TEST_TOOLS"):
        return Path(named) / module
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256((MODULE / module / "go.sum").read_bytes()).hexdigest()
    return cache / "lykeion-tests" / f"{'control-plane' if module == '.' else module}-{digest[:16]}"


def _build(it: Tool, path: Path) -> None:
    go = go_program()
    variables = " ".join(f"-X {name}={value}" for name, value in it.variables.items())
    partial = path.with_suffix(".partial")
    command = [
        go,
        "build",
        "-trimpath",
        "-buildvcs=false",
        "-ldflags",
        f"-s -w {variables}",
        "-o",
        partial,
        it.package,
    ]
    environment = {**os.environ, "CGO_ENABLED": "0"}
    module = MODULE / it.module
    if it.links:
        module = _repaired(it, path)
        command[-1] = f"./cmd/{it.package.partition('/cmd/')[2]}"
    print(f"building {path.name}", file=sys.stderr, flush=True)
    done = subprocess.run(command, cwd=module, env=environment, capture_output=True, text=True)
    if done.returncode:
        lines = done.stderr.splitlines()
        if unreachable := next((line for line in lines if _UNREACHABLE.search(line)), ""):
            pytest.skip(f"{path.name} cannot be built without Go's modules: {unreachable.strip()[:200]}")
        raise RuntimeError(f"go build {it.package}: " + "\n".join(lines[-20:]))
    partial.rename(path)
    shutil.rmtree(path.with_suffix(".source"), ignore_errors=True)


def _repaired(it: Tool, path: Path) -> Path:
    """A copy of the tool's module with its links, to build in: Go replaces no file of a served module."""
    copy = path.with_suffix(".source")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(module_files(path.name, it.package.partition("/cmd/")[0], build=True), copy)
    for link, target in it.links.items():
        (copy / link).parent.chmod(0o755)
        shutil.copy(copy / target, copy / link)
    return copy


def go_program() -> str:
    """Go of the least version or later. Skips the test if there is none."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        pytest.skip(f"needs Go {_dotted(LEAST_GO)} or later, which builds Kubernetes for the tests")
    said = subprocess.run([go, "version"], cwd=MODULE.parent, capture_output=True, text=True).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    if not found or tuple(map(int, found.groups())) < LEAST_GO:
        pytest.skip(f"needs Go {_dotted(LEAST_GO)} or later; {go} is {said.strip() or 'no Go'}")
    return go


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    try:
        for each in sys.argv[1:] or [name for name, it in TOOLS.items() if not it.on_demand]:
            tool(each, build=True)
    except pytest.skip.Exception as reason:
        print(f"Kubernetes is not built, and its tests will be skipped: {reason}", file=sys.stderr)
