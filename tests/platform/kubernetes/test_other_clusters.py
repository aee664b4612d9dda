"""Two clusters: a run here has a step there, through credentials of its namespace; nothing is left behind."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest
import yaml
from msgspec import structs

from lykeion.control import FINALIZER
from lykeion.core import Refused, Unavailable
from lykeion.platform import force_release, holders_of
from lykeion.platform.kubernetes.api.server_answers import ClusterError, ClusterRefused
from lykeion.platform.kubernetes.other_clusters.cluster_reach import ClusterReach, NotAllowed
from lykeion.platform.kubernetes.other_clusters.given_access import WrongCredentials, given_access
from lykeion.platform.kubernetes.other_clusters.remote_runs import RemoteRuns, runs_through
from lykeion.platform.resources.pipelines.step_pipeline import PIPELINE_RUN, PipelineRunSpec, PipelineStep
from lykeion.platform.resources.programs.program import Program
from lykeion.platform.resources.settings.cluster_profile import AllowedCluster, ClusterProfileSpec

from .memory_cluster import Death, MortalClient
from .two_clusters import AWAY, KEY, PROFILE, SERVER, TwoClusters, kubeconfig, store_of, with_both


def _access(document: Any, server: str = SERVER) -> Any:
    text = document if isinstance(document, bytes) else yaml.safe_dump(document).encode()
    return given_access(text, server, "the key gke of secret/lykeion-clusters in shop", "shop")


def test_a_kubeconfig_with_a_token_or_a_certificate_is_taken() -> None:
    access = _access(kubeconfig(token="t"))
    assert (access.cluster.server, access.namespace, access.user.token) == (SERVER, "work", "t")
    given = {"client-certificate-data": "YQ==", "client-key-data": "Yg=="}
    assert _access(kubeconfig(**given)).user.client_key_data == "Yg=="
    plain = kubeconfig()
    del plain["contexts"][0]["context"]["namespace"]
    assert _access(plain).namespace == "shop"


@pytest.mark.parametrize(
    ("user", "field"),
    [
        ({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh"}}, "exec"),
        ({"tokenFile": "/var/run/secrets/kubernetes.io/serviceaccount/token"}, "tokenFile"),
        ({"client-certificate": "/etc/passwd", "client-key": "/etc/passwd"}, "client-certificate"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
    ],
)
def test_a_kubeconfig_that_names_a_program_or_a_file_is_refused(user: dict[str, Any], field: str) -> None:
    with pytest.raises(WrongCredentials, match=field):
        _access(kubeconfig(**user))


def test_a_kubeconfig_for_another_server_or_without_verification_is_refused() -> None:
    with pytest.raises(WrongCredentials, match="the ClusterProfile allows https://elsewhere alone"):
        _access(kubeconfig(), "https://elsewhere")
    for extra in ({"insecure-skip-tls-verify": True}, {"proxy-url": "http://x"}, {"certificate-authority": "/x"}):
        document = kubeconfig()
        document["clusters"][0]["cluster"] |= extra
        with pytest.raises(WrongCredentials, match=min(extra)):
            _access(document)


@pytest.mark.parametrize("text", [b"\xff", b"[", b"a: b", b"", b"- 1", b"x" * (65 << 10), b"a: &a [*a]"])
def test_what_is_no_kubeconfig_is_refused(text: bytes) -> None:
    with pytest.raises(WrongCredentials, match="secret/lykeion-clusters in shop"):
        _access(text)


@pytest.mark.parametrize(
    "user",
    [{"token": "gehe\u00efm"}, {"token": "a\nb"}, {"client-certificate-data": "YQ=="}, {"client-key-data": "YQ=="}],
)
def test_credentials_that_no_request_can_carry_are_refused(user: dict[str, str]) -> None:
    with pytest.raises(WrongCredentials, match="secret/lykeion-clusters in shop") as refused:
        _access(kubeconfig(**user))
    assert not any(each in str(refused.value) for each in user.values())


def test_a_namespace_in_a_kubeconfig_is_a_name_and_no_path() -> None:
    document = kubeconfig()
    document["contexts"][0]["context"]["namespace"] = "../../nodes?"
    with pytest.raises(WrongCredentials, match="namespace"):
        _access(document)


@pytest.mark.parametrize("user", [{"token": 7, "password": "p4ss"}, {"token": ["p4ss"]}, "p4ss", ["it must be p4ss"]])
def test_no_secret_is_quoted(user: Any) -> None:
    document = kubeconfig()
    document["users"][0]["user"] = user
    with pytest.raises(WrongCredentials) as refused:
        _access(document)
    assert "p4ss" not in str(refused.value)


def test_a_step_runs_there_and_is_removed_with_its_run() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply()
            await both.succeed()
            await both.here.until(lambda: both.is_true("Complete"))
            (made,) = both.there.kept("pipelineruns")
            (run,) = both.here.kept("pipelineruns")
            assert made["metadata"]["namespace"] == "work"
            assert made["metadata"]["labels"] == {
                "app.kubernetes.io/managed-by": "lykeion",
                "lykeion.github.io/home": "home-1",
                "lykeion.github.io/owner": "night-1",
                "lykeion.github.io/owner-namespace": "shop",
                "lykeion.github.io/owner-uid": run["metadata"]["uid"],
                "lykeion.github.io/step": "train",
            }
            assert not made["metadata"].get("ownerReferences")
            assert run["metadata"]["finalizers"] == [FINALIZER]
            await both.store.delete(KEY)
            await both.here.until(lambda: not both.here.kept("pipelineruns"))
            assert both.there.kept("pipelineruns") == both.there.kept("works") == []

    with_both(use)


def test_suspending_the_run_suspends_its_step_there() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply()
            await both.there.until(lambda: both.there.kept("works"))
            run = await both.store.get(KEY)
            await both.store.apply(replace(run, spec=structs.replace(run.spec, suspend=True)))
            await both.there.until(lambda: both.there.kept("works")[0]["spec"].get("suspend"))

    with_both(use)


def test_a_deleted_run_waits_for_a_cluster_that_is_away_and_a_forced_release_does_not() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply()
            await both.there.until(lambda: both.there.kept("works"))
            both.there.error = AWAY
            await both.store.delete(KEY)
            await both.here.until(lambda: both.is_true("Unreachable"))
            (run,) = both.here.kept("pipelineruns")
            assert run["metadata"]["deletionTimestamp"]
            (holder,) = await holders_of(both.store, KEY)
            (left,) = await force_release(both.store, KEY)
            assert left == holder
            assert left.endswith(" in the cluster gke")
            assert await holders_of(both.store, KEY) == ()
            assert both.here.kept("pipelineruns") == []
        assert both.there.kept("pipelineruns")
        both.there.error = None
        assert await both.remote().sweep() == 1
        assert both.there.kept("pipelineruns") == []

    with_both(use)


def test_a_sweep_leaves_what_still_has_its_run_and_what_is_of_others() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply()
            await both.there.until(lambda: both.there.kept("works"))
            stranger = PIPELINE_RUN.new("mine", PipelineRunSpec(steps=_steps()), namespace="work")
            await store_of(both.there).create(stranger)
            other_home = RemoteRuns(both.reach(), lambda: "home-2", runs_through(both.there))  # type: ignore[arg-type]
            assert await other_home.sweep() == 0
            assert await both.remote().sweep() == 0
            both.here.error = ClusterError("https://here does not answer")
            assert await both.remote().sweep() == 0
            assert len(both.there.kept("pipelineruns")) == 2

    with_both(use)


def test_labels_that_somebody_writes_there_hinder_no_sweep() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply()
            await both.there.until(lambda: both.there.kept("works"))
            both.there.error = AWAY
            await both.store.delete(KEY)
            await force_release(both.store, KEY)
        both.there.error = None
        (left,) = both.there.kept("pipelineruns")
        labels = {
            name: value for name, value in left["metadata"]["labels"].items() if name != "lykeion.github.io/owner"
        }
        forged = PIPELINE_RUN.new("a-first", PipelineRunSpec(steps=_steps()), namespace="work", labels=labels)
        await store_of(both.there).create(forged)
        both.there.objects = dict(sorted(both.there.objects.items()))
        assert await both.remote().sweep() == 1
        assert [each["metadata"]["name"] for each in both.there.kept("pipelineruns")] == ["a-first"]

    with_both(use)


def test_what_an_earlier_run_of_the_same_name_left_is_swept() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply()
            await both.there.until(lambda: both.there.kept("works"))
            both.there.error = AWAY
            await force_release(both.store, KEY)
        await both.apply(suspend=True)
        both.there.error = None
        assert await both.remote().sweep() == 1

    with_both(use)


def test_what_a_cancelled_step_left_is_swept_when_its_cluster_answers() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply(deadline_seconds=1)
            await both.there.until(lambda: both.there.kept("works"))
            both.there.error = AWAY
            await both.here.until(lambda: both.is_true("Failed"))
        both.there.error = None
        assert len(both.there.kept("pipelineruns")) == 1
        assert await both.remote().sweep() == 1

    with_both(use)


def test_a_run_of_another_under_the_same_name_is_neither_taken_nor_removed() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply()
            await both.there.until(lambda: both.there.kept("works"))
        (made,) = both.there.kept("pipelineruns")
        made["metadata"]["labels"]["lykeion.github.io/owner-uid"] = "another"
        async with both.running():
            await both.here.until(lambda: both.is_true("Unreachable"))
            await both.store.delete(KEY)
            await both.here.until(lambda: not both.here.kept("pipelineruns"))
        assert len(both.there.kept("pipelineruns")) == 1

    with_both(use)


def test_a_run_that_a_later_version_wrote_there_fails_no_step_and_holds_no_run_that_is_deleted() -> None:
    async def use(both: TwoClusters) -> None:
        async with both.running():
            await both.apply()
            await both.there.until(lambda: both.there.kept("works"))
        (made,) = both.there.kept("pipelineruns")
        made["spec"]["novel"] = 1
        async with both.running():
            await both.here.until(lambda: both.is_true("Unreachable"))
            (run,) = both.here.kept("pipelineruns")
            assert "upgrade this cluster's operator" in str(run["status"]["conditions"])
            assert run["status"]["steps"][0]["phase"] == "Running"
            await both.store.delete(KEY)
            await both.here.until(lambda: not both.here.kept("pipelineruns"))
        assert both.there.kept("pipelineruns") == []

    with_both(use)


def _steps() -> tuple[PipelineStep, ...]:
    return (PipelineStep(name="train", program=Program(command=("true",))),)


async def _life(both: TwoClusters) -> None:
    """Of a run: made, ended, deleted; what has happened already is left out."""
    if not both.here.created("pipelineruns"):
        await both.apply()
    while (runs := both.here.kept("pipelineruns")) and "deletionTimestamp" not in runs[0]["metadata"]:
        if both.is_true("Complete"):
            await both.store.delete(KEY)
        else:
            await both.succeed()
            await both.here.until(lambda: both.is_true("Complete"))
    await both.here.until(lambda: not both.here.kept("pipelineruns"))


async def _killed_at(when: str, number: int) -> TwoClusters:
    both = TwoClusters(death=Death(when, number))
    async with both.running():
        living = asyncio.create_task(_life(both))
        dying = asyncio.create_task(both.death.has_come.wait())
        await asyncio.wait([living, dying], return_when="FIRST_COMPLETED")
        for each in (living, dying):
            each.cancel()
        await asyncio.gather(living, dying, return_exceptions=True)
    return both


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_operator_killed_at_any_write_makes_the_step_once_and_leaves_nothing(when: str) -> None:
    async def main() -> None:
        writes = (await _killed_at("never", 0)).death.writes
        assert writes > 5
        for number in range(1, writes + 1):
            async with asyncio.timeout(60):
                both = await _killed_at(when, number)
                both.death = Death()
                async with both.running():
                    await _life(both)
            assert both.there.created("pipelineruns") == both.there.created("works") == 1, number
            assert both.there.kept("pipelineruns") == [], number

    asyncio.run(main())


def test_a_cluster_that_fails_is_left_alone_for_a_while_that_doubles_and_others_do_not_wait() -> None:
    async def use(both: TwoClusters) -> None:
        reach, asked = both.reach(), []

        async def ask(client: Any) -> str:
            asked.append(both.now)
            if both.there.error:
                raise both.there.error
            return "answer"

        both.there.error = AWAY
        for both.now in range(16):
            with pytest.raises(Unavailable, match="the cluster gke: https://there does not answer"):
                await reach.use("gke", "shop", ask)
        assert asked == [0, 1, 3, 7, 15]
        both.there.error, both.now = None, 23
        assert await reach.use("gke", "shop", ask) == await reach.use("gke", "shop", ask) == "answer"

    with_both(use)


def test_changed_credentials_are_taken_after_a_failure() -> None:
    async def use(both: TwoClusters) -> None:
        reach = both.reach()

        async def ask(client: Any) -> None:
            if both.connected[-1].user.token == "t":
                raise ClusterRefused("the token has expired")

        with pytest.raises(Refused, match="the cluster gke: the token has expired"):
            await reach.use("gke", "shop", ask)
        both.give(kubeconfig(token="new"))
        both.now = 10
        await reach.use("gke", "shop", ask)

    with_both(use)


@pytest.mark.parametrize(
    "wrong", [UnicodeEncodeError("ascii", "x", 0, 1, "no"), KeyError("items"), TypeError("a list")]
)
def test_credentials_and_answers_as_nobody_has_foreseen_end_neither_the_sweep_nor_what_others_do(wrong: Any) -> None:
    async def ask(client: Any) -> str:
        return "answer"

    async def use(both: TwoClusters) -> None:
        both.profile = ClusterProfileSpec(
            clusters=(*PROFILE.clusters, AllowedCluster(name="bad", server="https://bad", namespaces=("shop",)))
        )
        both.there.error = wrong
        remote = both.remote()
        assert await remote.sweep() == 0
        with pytest.raises(Unavailable, match=rf"the cluster gke: its credentials .* \({type(wrong).__name__}\)"):
            await remote.reach.use("gke", "shop", ask)
        both.there.error, both.now = None, 100
        assert await remote.reach.use("gke", "shop", ask) == "answer"

    with_both(use)


def test_connections_with_credentials_that_were_replaced_are_closed_when_nobody_waits_for_them() -> None:
    @dataclass
    class Connected:
        server: str = SERVER
        is_open: bool = True

        async def close(self) -> None:
            self.is_open = False

    async def use(both: TwoClusters) -> None:
        made: list[Any] = []

        def connect(access: Any) -> Any:
            made.append(Connected())
            return made[-1]

        async def ask(client: Any) -> Any:
            return client

        home: Any = MortalClient(both.here, both.death)
        reach = ClusterReach(home, lambda: both.profile, connect, now=lambda: both.now)
        for both.now in (0.0, 1000.0, 2000.0, 3000.0):
            both.give(kubeconfig(token=f"t{both.now:g}"))
            assert (await reach.use("gke", "shop", ask)).is_open
        assert [each.is_open for each in made] == [False, False, True, True]
        await reach.close()
        assert not any(each.is_open for each in made)

    with_both(use)


def test_what_is_lacking_is_said() -> None:
    async def ask(client: Any) -> None:
        return None

    async def use(both: TwoClusters) -> None:
        with pytest.raises(NotAllowed, match="does not let the namespace lab use a cluster gke"):
            await both.reach().use("gke", "lab", ask)
        both.here.objects.clear()
        with pytest.raises(Refused, match="secret/lykeion-clusters in shop has no key gke"):
            await both.reach().use("gke", "shop", ask)
        both.here.error = ClusterRefused("secrets is forbidden")
        with pytest.raises(Refused, match="bind the ClusterRole lykeion-clusters there to the operator"):
            await both.reach().use("gke", "shop", ask)

    with_both(use)
