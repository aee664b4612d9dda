"""What follows from a failed attempt: the first rule that matches decides; without one it is retried."""

from collections.abc import Sequence

from lykeion.platform.resources.programs import Action, FailureRule


def action_for(rules: Sequence[FailureRule], exit_code: int | None, reason: str) -> Action:
    """``reason`` is empty if the program ended by itself."""
    for rule in rules:
        if reason in rule.reasons or (not reason and exit_code in rule.exit_codes):
            return rule.action
    return "Retry"
