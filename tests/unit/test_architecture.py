"""The rules hold, and a breach of each is seen."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import architecture
from tests.support.architecture import ROOT

Rule = Callable[[Path], list[str]]

BREACHES: dict[Rule, tuple[str, str]] = {
    architecture.nameless_modules: ("services/dedup/utils.py", ""),
    architecture.long_files: ("services/dedup/long.py", "x = 1\n" * 301),
    architecture.missing_init_files: ("services/dedup/inner/noun.py", ""),
    architecture.sleeping_tests: (
        "tests/test_nap.py",
        "import time\ndef test_nap():\n    for _ in range(2):\n        time.sleep(0.1)\n",
    ),
    architecture.clients_built_at_import: (
        "services/dedup/eager.py",
        "from services.dedup.settings import DedupSettings\nSETTINGS = DedupSettings()\n",
    ),
    architecture.foreign_imports_of_contracts: ("contracts/pixels.py", "import numpy as np\n"),
}

IMPORT_BREACHES = [
    ("services.dedup.handlers", "services.ingest.settings"),
    ("services.ops.cli", "services.reporter.settings"),
    ("services.dedup.domain.groups", "sqlalchemy"),
    ("services.dedup.domain.alike", "services.dedup.store"),
    ("services.dedup.store.tables", "services.dedup.handlers"),
    ("services.runtime.database", "services.dedup.settings"),
    ("services.pictures.formats", "services.ingest.settings"),
    ("services.ingest.domain.letterbox", "keras"),
    ("services.runtime.child", "tensorflow"),
    ("services.evaluator.handlers", "keras"),
    ("services.trainer.handlers", "tensorflow"),
    ("services.networks.build", "services.trainer.settings"),
    ("services.ops.cli", "services.networks.errors"),
    ("deploy.provision.job", "services.ops.cli"),
    ("contracts.values", "services.runtime.settings"),
]
STRAY = "services.dedup.utils"


def tracked_files() -> list[str]:
    """Files that are or would be committed."""
    git = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def lint_of_breaches(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the lint says of a copy of the tree with every breach in it; one run, for it takes seconds."""
    copy = tmp_path_factory.mktemp("copy")
    for package in architecture.PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    for importer, imported in IMPORT_BREACHES:
        with (copy / Path(*importer.split("."))).with_suffix(".py").open("a") as file:
            file.write(f"\nimport {imported}\n")
    (copy / STRAY.replace(".", "/")).with_suffix(".py").touch()
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout
    return done.stdout


@pytest.mark.parametrize("rule", BREACHES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule: Rule) -> None:
    assert rule(ROOT) == []


@pytest.mark.parametrize(
    ("rule", "breach"), BREACHES.items(), ids=lambda value: getattr(value, "__name__", "")
)
def test_a_breach_is_seen(rule: Rule, breach: tuple[str, str], tmp_path: Path) -> None:
    name, text = breach
    (tmp_path / name).parent.mkdir(parents=True)
    (tmp_path / name).write_text(text)
    assert [name in offence or str(Path(name).parent) in offence for offence in rule(tmp_path)] == [True]


def test_no_file_names_a_package_registry(tmp_path: Path) -> None:
    assert architecture.named_registries(ROOT, tracked_files()) == []
    (tmp_path / "notes.md").write_text(f"see https://{architecture.REGISTRY_HOSTS[0]}/simple")
    assert len(architecture.named_registries(tmp_path, ["notes.md"])) == 1


def test_the_import_rules_hold() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("importer", "imported"), IMPORT_BREACHES)
def test_a_breach_of_the_import_rules_fails_the_lint(
    lint_of_breaches: str, importer: str, imported: str
) -> None:
    assert f"{importer} -> {imported}" in " ".join(lint_of_breaches.split())


def test_a_stray_module_fails_the_lint(lint_of_breaches: str) -> None:
    assert f"- {STRAY}" in lint_of_breaches


@pytest.mark.parametrize(
    "module",
    [f"services.{name}.app" for name in ("ingest", "dedup", "trainer", "evaluator", "bulkid", "reporter")]
    + ["services.ops.cli"],
)
def test_no_service_process_loads_tensorflow(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'tensorflow', 'keras'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr or "it imported TensorFlow"
