"""Which cluster, and as whom: a context of the kubeconfig, or the service account of the pod."""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import yaml
from lightkube.config.kubeconfig import DEFAULT_KUBECONFIG, KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError
from msgspec import structs

from lykeion.core import Invalid, first_line

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class KubeconfigError(Invalid):
    """The kubeconfig is missing or damaged, or does not have the context."""


def cluster_access(context: str = "") -> SingleConfig:
    """The named context; by default that of the pod's service account, or the kubeconfig's current one.

    ``$KUBECONFIG`` may name several files; the first that has the context is used. Raises KubeconfigError.
    """
    if not context and (Path(SERVICE_ACCOUNT) / "token").is_file():
        return _found(KubeConfig.from_service_account(SERVICE_ACCOUNT), "")
    for config in _kubeconfigs():
        if context in config.contexts if context else config.current_context:
            return _found(config, context)
    if context:
        raise KubeconfigError(f"no kubeconfig has the context {context!r}; list them: kubectl config get-contexts")
    raise KubeconfigError("there is no kubeconfig with a current context; name one: --context NAME")


def _kubeconfigs() -> Iterator[KubeConfig]:
    for name in (os.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG).split(os.pathsep):
        path = Path(name).expanduser()
        if path.is_file():
            try:
                yield KubeConfig.from_file(path)
            except (OSError, yaml.YAMLError, msgspec.ValidationError, AttributeError, KeyError, TypeError) as wrong:
                raise KubeconfigError(f"{path}: not a kubeconfig: {first_line(wrong)}") from None


def _found(config: KubeConfig, context: str) -> SingleConfig:
    try:
        found = config.get(context or None)
    except KeyError as missing:
        raise KubeconfigError(f"{config.fname}: the context names {missing}, which is not there") from None
    except ConfigError as wrong:
        raise KubeconfigError(f"{config.fname}: {first_line(wrong)}") from None
    assert found
    user = found.user
    if user and user.exec and user.exec.apiVersion == "client.authentication.k8s.io/v1":
        # It answers as v1beta1 does, which is what lightkube reads.
        plugin = structs.replace(user.exec, apiVersion="client.authentication.k8s.io/v1beta1")
        return found._replace(user=structs.replace(user, exec=plugin))
    return found
