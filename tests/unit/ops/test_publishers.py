"""What each service says in code is what its NATS user may say."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from contracts.subjects import PUBLISHES, SERVICES


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_may_say_what_its_code_says_and_no_more(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MENAGERIE_DATABASE_URL", f"sqlite:///{tmp_path}/{name}.sqlite")
    monkeypatch.setenv("MENAGERIE_WORK_DIR", str(tmp_path))
    monkeypatch.setenv("MENAGERIE_API_TOKEN", "test-token")
    service = importlib.import_module(f"services.{name}.app").create_app()
    assert {message.name for message in service.publishes} == set(PUBLISHES[name])
