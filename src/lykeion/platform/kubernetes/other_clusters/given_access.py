"""Credentials that users give for another cluster: a kubeconfig of which nothing is a file or a program.

Whoever writes a Secret must not make the operator run a command, read its own files, or speak to another server than
the one that the ClusterProfile allows.
"""

import re
from typing import Any

import msgspec
from lightkube.config.kubeconfig import SingleConfig
from lightkube.config.models import Cluster, Context, User

from lykeion.control import Name, Wire, read_as
from lykeion.core import Refused
from lykeion.core.documents import parse_yaml
from lykeion.core.fields import Field

LIMIT_BYTES = 64 << 10
_TOKEN = re.compile(r"[!-~]+")
"""What a header of HTTP may hold."""
_QUOTED = re.compile(r" is .*; it must be", re.DOTALL)
"""A value in the words of an error, which whoever may see the run may read."""


class WrongCredentials(Refused):
    """What is in the Secret is no kubeconfig that is taken."""


class _GivenCluster(Wire, frozen=True, rename="kebab"):
    server: str
    certificate_authority_data: str | None = None


class _GivenUser(Wire, frozen=True, rename="kebab"):
    token: str | None = None
    client_certificate_data: str | None = None
    client_key_data: str | None = None


class _GivenContext(Wire, frozen=True):
    cluster: str
    user: str
    namespace: Name | None = None


class _NamedCluster(Wire, frozen=True):
    name: str
    cluster: _GivenCluster


class _NamedUser(Wire, frozen=True):
    name: str
    user: _GivenUser


class _NamedContext(Wire, frozen=True):
    name: str
    context: _GivenContext


class _Kubeconfig(Wire, frozen=True, rename="kebab"):
    current_context: str
    clusters: tuple[_NamedCluster, ...]
    users: tuple[_NamedUser, ...]
    contexts: tuple[_NamedContext, ...]
    kind: str = "Config"
    api_version: str = msgspec.field(default="v1", name="apiVersion")
    preferences: dict[str, Any] = {}  # noqa: RUF012


def given_access(text: bytes, server: str, where: str, namespace: str) -> SingleConfig:
    """The current context of a kubeconfig for ``server``; it has ``namespace`` unless it names one.

    Raises WrongCredentials, which quotes nothing that is secret.
    """
    if len(text) > LIMIT_BYTES:
        raise WrongCredentials(f"{where} has more than {LIMIT_BYTES} bytes; give a kubeconfig with one context")
    try:
        document = parse_yaml(text, WrongCredentials, where)
        file = read_as(_Kubeconfig, Field(where, document.values, WrongCredentials))
    except WrongCredentials as wrong:
        unquoted = _QUOTED.sub(" is wrong; it must be", str(wrong))
        raise WrongCredentials(
            f"{unquoted}; of a kubeconfig only server, certificate-authority-data, token, client-certificate-data "
            "and client-key-data are taken: kubectl config view --raw --flatten --minify"
        ) from None
    context = next((each.context for each in file.contexts if each.name == file.current_context), None)
    cluster = next((each.cluster for each in file.clusters if context and each.name == context.cluster), None)
    user = next((each.user for each in file.users if context and each.name == context.user), None)
    if context is None or cluster is None or user is None:
        raise WrongCredentials(f"{where}: the current context, or its cluster or user, is not in the kubeconfig")
    if cluster.server.rstrip("/") != server.rstrip("/"):
        raise WrongCredentials(
            f"{where} is for the server {cluster.server[:200]!r}; the ClusterProfile allows {server} alone"
        )
    if user.token is not None and not _TOKEN.fullmatch(user.token):
        raise WrongCredentials(f"{where}: the token has other than visible characters of ASCII, or none")
    if (user.client_certificate_data is None) != (user.client_key_data is None):
        raise WrongCredentials(f"{where} has one of client-certificate-data and client-key-data; give both")
    return SingleConfig(
        context_name=where,
        context=Context(cluster=context.cluster, user=context.user, namespace=context.namespace or namespace),
        cluster=Cluster(server=server, certificate_auth_data=cluster.certificate_authority_data),
        user=User(
            token=user.token,
            client_cert_data=user.client_certificate_data,
            client_key_data=user.client_key_data,
        ),
    )
