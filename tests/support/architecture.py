"""Rules of the house that ruff, mypy and import-linter cannot state, as functions on source files.

Each returns sentences, one per offence, so that a test can show that a breach is seen.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("contracts", "services", "deploy")

NAMELESS = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base", "core"}
"""Module names that say nothing of what is inside (style.md, habit 4)."""

LONGEST_FILE_LINES = 300
"""Style asks for about 200; over this a file is two nouns. contracts/ is a catalogue, and exempt."""

CLIENT_NAMES = {
    "AsyncClient", "Client", "Database", "FastAPI", "Minio", "NatsBroker", "ObjectStore", "PoolManager",
    "ProcessPoolExecutor", "Service", "ThreadPoolExecutor", "create_app", "create_engine", "make_engine",
}  # fmt: skip
"""Calls that open, or are about to open, something outside the process."""

_REGISTRIES = (("pypi", "org"), ("files", "pythonhosted"), ("npmjs", "org"), ("deb", "debian", "org"))
REGISTRY_HOSTS = tuple(".".join(parts) for parts in _REGISTRIES)
"""Spelled in parts, or this file would break its own rule."""


def python_files(root: Path, *folders: str) -> Iterator[Path]:
    """Source files under ``folders``, migrations, which Alembic runs by path, left out."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            if "migrations" not in path.parts and "__pycache__" not in path.parts:
                yield path


def nameless_modules(root: Path) -> list[str]:
    """Modules and packages named for nothing."""
    return [
        f"{path.relative_to(root)}: name it for what it holds"
        for path in python_files(root, *PACKAGES, "tests")
        if NAMELESS & {path.stem, path.parent.name}
    ]


def long_files(root: Path) -> list[str]:
    """Files of the packages that should be split."""
    counted = (
        (path, len(path.read_text().splitlines())) for path in python_files(root, "services", "deploy")
    )
    return [
        f"{path.relative_to(root)}: {lines} lines; split it by noun"
        for path, lines in counted
        if lines > LONGEST_FILE_LINES
    ]


def missing_init_files(root: Path) -> list[str]:
    """Folders that import-linter would not see because they are no packages."""
    folders = {path.parent for path in python_files(root, *PACKAGES)}
    return [
        f"{f.relative_to(root)}: add __init__.py" for f in sorted(folders) if not (f / "__init__.py").exists()
    ]


def sleeping_tests(root: Path) -> list[str]:
    """Tests that wait for a time instead of for a thing; inside ``while`` it is the pause of a poll."""
    return [
        f"{path.relative_to(root)}:{call.lineno}: poll with a deadline instead of sleeping in a test"
        for path in python_files(root, "tests")
        if path.name.startswith("test_")
        for test in ast.walk(ast.parse(path.read_text()))
        if isinstance(test, ast.FunctionDef | ast.AsyncFunctionDef) and test.name.startswith("test_")
        for call in _own_statements(test, leave_out=ast.While)
        if _called(call) in {"time.sleep", "asyncio.sleep"} and not _is_zero(call)
    ]


def clients_built_at_import(root: Path) -> list[str]:
    """Module-level calls that build clients or settings; only ``create_app`` does (habit 1)."""
    return [
        f"{path.relative_to(root)}:{call.lineno}: {_called(call)}() at import; build it in create_app"
        for path in python_files(root, *PACKAGES)
        for call in _calls_at_import(ast.parse(path.read_text()))
        if _called(call).rpartition(".")[2] in CLIENT_NAMES or _called(call).endswith("Settings")
    ]


def foreign_imports_of_contracts(root: Path) -> list[str]:
    """Imports of contracts/ beyond pydantic, the standard library and itself."""
    allowed = {"contracts", "pydantic", *sys.stdlib_module_names}
    return [
        f"{path.relative_to(root)}: imports {name}; contracts/ may only use pydantic"
        for path in python_files(root, "contracts")
        for name in _imported(ast.parse(path.read_text()))
        if name.partition(".")[0] not in allowed
    ]


def named_registries(root: Path, files: list[str]) -> list[str]:
    """Text files that spell the host of a package registry."""
    found = []
    for name in files:
        text = (root / name).read_bytes().decode("utf-8", "ignore")
        found += [f"{name}: names a package registry's host" for host in REGISTRY_HOSTS if host in text]
    return found


def _own_statements(node: ast.AST, leave_out: type[ast.AST] = ast.Lambda) -> Iterator[ast.Call]:
    """Calls that run with the node itself: those of functions inside it are left out."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | leave_out):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from _own_statements(child, leave_out)


def _imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _calls_at_import(module: ast.Module) -> Iterator[ast.Call]:
    statements = [s for s in module.body if not isinstance(s, ast.If)]  # `if __name__ == "__main__"`
    for statement in statements:
        yield from _own_statements(ast.Module([statement], []))


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func)


def _is_zero(call: ast.Call) -> bool:
    return bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == 0
