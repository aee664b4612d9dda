"""The ended attempts of a Work, added up as they come: a plan costs the same however many there were."""

from collections.abc import Iterable

from lykeion.platform.local.processes.attempt import KEPT_ENDED, Attempt
from lykeion.platform.policies.attempts import action_for
from lykeion.platform.resources.plain_kinds import WorkSpec

LIMIT_FAILURES = 10


class WorkHistory:
    """``done`` are the indexes that succeeded, ``failures`` the failed attempts of others, by index and in order.

    ``latest_failures`` are the last few of all, ``begun`` the number of attempts, ``result`` that of index 0.
    """

    def __init__(self, ended: Iterable[Attempt] = ()) -> None:
        self.done: set[int] = set()
        self.failures: dict[int, list[Attempt]] = {}
        self.latest_failures: list[Attempt] = []
        self.begun = 0
        self.result = ""
        self._kept: dict[int, list[Attempt]] = {}
        self._rules: object = None
        self._failed: set[int] = set()
        self._counted: dict[int, int] = {}
        self._unjudged: set[int] = set()
        for each in sorted(ended, key=lambda each: each.number):
            self.add(each)

    def add(self, attempt: Attempt) -> None:
        """One more has ended; those of an index come in order."""
        self.begun += attempt.number + 1 - self.next_number(attempt.index)
        self._kept.setdefault(attempt.index, []).append(attempt)
        if attempt.succeeded:
            self.done.add(attempt.index)
            self.result = attempt.result if attempt.index == 0 else self.result
        if attempt.failed:
            self.failures.setdefault(attempt.index, []).append(attempt)
            self._unjudged.add(attempt.index)
            latest = sorted([*self.latest_failures, attempt], key=lambda each: (each.ended, each.index))
            self.latest_failures = latest[-LIMIT_FAILURES:]

    def all(self) -> list[Attempt]:
        """Those that are kept."""
        return [each for kept in self._kept.values() for each in kept]

    def next_number(self, index: int) -> int:
        return self._kept[index][-1].number + 1 if index in self._kept else 0

    def failed(self, spec: WorkSpec) -> set[int]:
        """The indexes of which no attempt may follow; judged again when the rules have changed."""
        rules = spec.retries, spec.on_failure
        if rules != self._rules:
            self._rules, self._failed, self._unjudged = rules, set(), set(self.failures)
        self._failed |= {index for index in self._unjudged if used_up(spec, self.failures[index])}
        self._counted |= {index: counted(spec, self.failures[index]) for index in self._unjudged}
        self._unjudged.clear()
        return self._failed

    def used(self, spec: WorkSpec) -> dict[int, int]:
        """The failures that count of each index that has not succeeded."""
        self.failed(spec)
        return {index: number for index, number in self._counted.items() if index not in self.done}

    def forget_old(self, index: int, spec: WorkSpec) -> list[Attempt]:
        """Attempts that need not be kept, after one at an index: neither among the last few, nor counted as failures.

        With roles an attempt is that of all indexes, which its first failure decides.
        """
        if spec.roles:
            old = _old_of_all(self.all(), spec)
        else:
            old = [each for each in self._kept[index][:-KEPT_ENDED] if not _counts(spec, each)]
        for each in old:
            self._kept[each.index].remove(each)
        return old


def used_up(spec: WorkSpec, failures: Iterable[Attempt]) -> bool:
    """Whether no attempt may follow these failures."""
    actions = [action_for(spec.on_failure, each.exit_code, each.reason) for each in failures]
    return "Fail" in actions or actions.count("Retry") > spec.retries


def counted(spec: WorkSpec, failures: Iterable[Attempt]) -> int:
    """How many of these failures use up a retry."""
    return sum(_counts(spec, each) for each in failures)


def first_failures(attempts: Iterable[Attempt]) -> dict[int, Attempt]:
    """Of the processes that run all at once: the first failure of each attempt that failed, by its number."""
    first: dict[int, Attempt] = {}
    for each in sorted((each for each in attempts if each.failed), key=lambda each: (each.number, each.ended)):
        first.setdefault(each.number, each)
    return first


def _old_of_all(attempts: list[Attempt], spec: WorkSpec) -> list[Attempt]:
    first = first_failures(attempts)
    numbers = sorted({each.number for each in attempts})[:-KEPT_ENDED]
    old = {number for number in numbers if number not in first or not _counts(spec, first[number])}
    return [each for each in attempts if each.number in old]


def _counts(spec: WorkSpec, attempt: Attempt) -> bool:
    return attempt.failed and action_for(spec.on_failure, attempt.exit_code, attempt.reason) != "Ignore"
