from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the tester's own: no state, no logins, no proxies."""
    monkeypatch.setenv("LYKEION_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for variable in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "LYKEION_STORE", "LYKEION_TRUST", "LYKEION_REGISTRIES"):
        monkeypatch.delenv(variable, raising=False)
