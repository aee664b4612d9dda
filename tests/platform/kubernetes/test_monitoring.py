"""Rules for Prometheus and the board of Grafana: they hold, and name what the operator reports."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lykeion.platform.kubernetes.api.list_watch import WatchAges
from lykeion.platform.kubernetes.operator.operator_metrics import OperatorMetrics

DEPLOY = Path(__file__).parents[3] / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yaml"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's prometheus")
@pytest.mark.parametrize(
    "arguments", [("check", "rules", RULES), ("test", "rules", RULES.with_name("rules-test.yaml"))]
)
def test_the_rules_hold_in_prometheus_own_tests(arguments: tuple[str, str, Path]) -> None:
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_in_which_it_fires() -> None:
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    tests = yaml.safe_load(RULES.with_name("rules-test.yaml").read_text())["tests"]
    fired = {each["alertname"] for test in tests for each in test.get("alert_rule_test", ()) if each["exp_alerts"]}
    assert fired == {each["alert"] for each in rules if "alert" in each}


def test_rules_and_board_name_only_what_the_operator_reports() -> None:
    ages = WatchAges()
    metrics = OperatorMetrics(ages, lambda: 0, lambda: True)
    metrics.stepped("Training", "done", 0.1)
    metrics.requested("GET", "/api/v1/pods", 200)
    reported = set(re.findall(r"^(?:# TYPE )?(lykeion_\w+)", metrics.text().decode(), re.MULTILINE))
    board = json.loads((DEPLOY / "grafana" / "lykeion.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    rules = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    named = set(re.findall(r"\blykeion_\w+", " ".join([*queries, *(each["expr"] for each in rules)])))
    assert named <= reported
    recorded = {each["record"] for each in rules if "record" in each}
    assert set(re.findall(r"\blykeion:[\w:]+", " ".join(queries))) <= recorded
