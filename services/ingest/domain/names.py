"""Names of sub-classes and classes: how they are spelled, and which were given away before."""

from __future__ import annotations

from collections.abc import Iterable

from contracts.taxonomy import LEVEL, LONGEST, Rename, Taxonomy, covers, renamed
from services.ingest.domain.faults import ActionRefused


def check_path(name: str) -> None:
    """Every level of ``name`` has a name of its own.

    Raises:
        ActionRefused: one is empty.
    """
    if not all(level.strip() for level in name.split(LEVEL)):
        raise ActionRefused(422, f"{name!r} has an empty level; write it like 'flamingo/juvenile'")


def check_length(names: Iterable[str]) -> None:
    """Names fit into a label.

    Raises:
        ActionRefused: one is too long.
    """
    longest = max(names, key=len, default="")
    if len(longest) > LONGEST:
        raise ActionRefused(422, f"{longest!r} would have {len(longest)} characters, {LONGEST} at most fit")


def taken_by_former_name(taxonomy: Taxonomy, old: str, new: str) -> str | None:
    """A former name of something else, at or below ``new``, that ``old`` would take over; None when free.

    A name that is free again, because what had it gets it back, is not taken.
    """
    aliases = former_names(taxonomy)
    after = {**_moved(aliases, old, new)}
    below = {name[len(path) :] for path in (old, new) for name in aliases if covers(path, name)}
    for rest in sorted({"", *below}):
        moves = _today(aliases, old + rest) == old + rest
        if moves and _today(after, new + rest) != new + rest:
            return new + rest
    return None


def former_names(taxonomy: Taxonomy) -> dict[str, str]:
    """Every name that was ever given up, and what it and all below it is called today.

    The longest name that covers a label counts.
    """
    aliases: dict[str, str] = {}
    for operation in taxonomy.operations:
        if isinstance(operation.change, Rename):
            aliases = _moved(aliases, operation.change.old, operation.change.new)
    return aliases


def _moved(aliases: dict[str, str], old: str, new: str) -> dict[str, str]:
    moved = {name: renamed(today, old, new) for name, today in aliases.items()}
    for name, today in aliases.items():
        if covers(today, old) and today != old:
            moved.setdefault(name + old[len(today) :], new)
    return {**moved, old: new}


def _today(aliases: dict[str, str], label: str) -> str:
    name = max((name for name in aliases if covers(name, label)), key=len, default=None)
    return label if name is None else aliases[name] + label[len(name) :]
