"""What every test gets: no settings from the developer's shell, and property tests without a clock."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

pytest_plugins = ["tests.support.server_fixtures"]

# A shell that runs `menagerie` has these set; a test must not reach that stack by accident.
for name in [name for name in os.environ if name.startswith("MENAGERIE_")]:
    del os.environ[name]

# TensorFlow's start-up chatter hides pytest's own lines in CI.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

# No deadline: two cores are shared, and a slow example is no wrong one. CI tries the same examples each time.
settings.register_profile("menagerie", deadline=None, print_blob=True, derandomize="CI" in os.environ)
settings.load_profile("menagerie")

MARKED_FOLDERS = ("integration", "e2e", "faults", "browser")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test is what its folder says: one without its mark would slow or break `make test`."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in MARKED_FOLDERS:
            item.add_marker(folder)
