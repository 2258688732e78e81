"""Judges changes of the taxonomy: what is asked becomes a change, or is refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from contracts.taxonomy import Change, Classes, Merge, Rename, Split, Taxonomy, covers, renamed
from contracts.values import LabelKind
from services.ingest.domain.faults import ActionRefused
from services.ingest.domain.names import check_length, check_path, taken_by_former_name

NAMED_CLASSES = 5
"""Merged classes that a refusal names; all of them are in the taxonomy itself."""


def merge(taxonomy: Taxonomy, labels: Collection[str], into: str, members: Iterable[str]) -> Merge:
    """The merge of ``members``, each under its newest name, into the class ``into``.

    Raises:
        ActionRefused: a name is malformed or taken, a member is merged already, or nothing would change.
    """
    given = tuple(members)
    for name in (into, *given):
        check_path(name)
    now = taxonomy.at(taxonomy.version)
    found = tuple(dict.fromkeys(map(taxonomy.todays_label, given)))
    for member in found:
        owner = now.merged_into(member)
        if owner is not None:
            raise ActionRefused(409, f"{member!r} is already merged into {owner!r}; split it first")
    if into in now.merged:
        raise ActionRefused(
            409,
            f"{into!r} is a merged class already; split it first, or merge it with others into a new name",
        )
    today = taxonomy.todays_label(into)
    if today != into:
        raise ActionRefused(409, f"{into!r} is a former name of {today!r}; choose that or a new name")
    change = Merge(into=into, members=found)
    _check_merge(now, change, {*labels, *_names(now)})
    return change


def _check_merge(now: Classes, change: Merge, names: set[str]) -> None:
    then, into = now.after(change), change.into
    inside = any(covers(member, into) for member in change.members if member not in now.merged)
    if into in names and not (inside and then.class_of(into) == into):
        raise ActionRefused(
            409,
            f"{into!r} is a sub-class already; make it a member too, or choose another name for the class",
        )
    _check_whole(now, then, into)
    if all(now.class_of(name) == then.class_of(name) for name in {*names, *change.members}):
        raise ActionRefused(
            409, f"merging {', '.join(map(repr, change.members))} into {into!r} changes nothing"
        )


def _check_whole(now: Classes, then: Classes, into: str) -> None:
    """A member may cover a merged class by its name alone: labels called so would go, the others stay."""
    for name in sorted(then.merged):
        if _is_torn(then, name) and not _is_torn(now, name):
            remedy = (
                "choose another name" if name == into else f"make {name!r} a member too, or split it first"
            )
            raise ActionRefused(
                409,
                f"images labelled {name!r} would be trained as {then.class_of(name)!r}, and the others of "
                f"that merged class as {then.outermost(name)!r}; {remedy}",
            )


def _is_torn(classes: Classes, name: str) -> bool:
    """Whether a label that is called like the merged class ``name`` is trained as another one."""
    return name in classes.merged and classes.class_of(name) != classes.outermost(name)


def split(taxonomy: Taxonomy, class_name: str) -> Split:
    """The end of the merge that made ``class_name``.

    Raises:
        ActionRefused: it is no merged class, or a part of another one.
    """
    now = taxonomy.at(taxonomy.version)
    today = taxonomy.todays_label(class_name)
    if today not in now.merged:
        known = ", ".join(map(repr, sorted(now.merged)[:NAMED_CLASSES])) or "none"
        raise ActionRefused(404, f"{class_name!r} is not a merged class; merged are: {known}")
    outer = now.merged_into(today)
    if outer not in (None, today):
        raise ActionRefused(409, f"{today!r} is a part of {outer!r}; split {outer!r} first")
    return Split(class_name=today)


def rename(taxonomy: Taxonomy, labels: Collection[str], old: str, new: str) -> Rename:
    """Another name for ``old`` and all below it.

    Raises:
        ActionRefused: nothing is called ``old``, something else is or was called ``new``, or an image
            would be trained as another class.
    """
    check_path(old)
    check_path(new)
    now = taxonomy.at(taxonomy.version)
    today = taxonomy.todays_label(old)
    names = {*labels, *_names(now)}
    moving = [name for name in names if covers(today, name)]
    if not moving:
        raise ActionRefused(
            404, f"nothing is called {old!r}: no sub-class, none below it and no merged class"
        )
    if today == new:
        raise ActionRefused(409, f"it is called {new!r} already")
    if covers(today, new) or covers(new, today):
        raise ActionRefused(409, f"{today!r} and {new!r} lie within each other; rename by a third name")
    taken = min((name for name in names if covers(new, name)), default=None)
    if taken is not None:
        raise ActionRefused(
            409, f"{taken!r} exists already: that is a merge; merge the two, or choose another name"
        )
    former = taken_by_former_name(taxonomy, today, new)
    if former is not None:
        raise ActionRefused(
            409, f"{former!r} is a former name of {taxonomy.todays_label(former)!r}; choose another name"
        )
    check_length(renamed(name, today, new) for name in moving)
    change = Rename(old=today, new=new)
    _check_same_classes(now, change, moving)
    return change


def _check_same_classes(now: Classes, change: Rename, moving: Collection[str]) -> None:
    """A new name may lie outside what a merge covers, or inside: images would change their class unseen."""
    then = now.after(change)
    for name in sorted(moving):
        before = now.class_of(name)
        after = then.class_of(renamed(name, change.old, change.new))
        if after != renamed(before, change.old, change.new):
            raise ActionRefused(
                409,
                f"{name!r} is trained as {before!r}, and under its new name would be as {after!r}; "
                "choose a name that stays in its class, or split the merged class first",
            )


def inverse(taxonomy: Taxonomy, version: int) -> Change:
    """The change that brings back what was before ``version``.

    Raises:
        ActionRefused: it is not the newest version.
    """
    newest = taxonomy.version
    if newest == 0:
        raise ActionRefused(409, "the taxonomy was never changed; there is nothing to undo")
    if version != newest:
        raise ActionRefused(409, f"version {version} is not the newest; undo version {newest} first")
    match taxonomy.operations[newest - 1].change:
        case Merge(into=into):
            return Split(class_name=into)
        case Split(class_name=name):
            return Merge(into=name, members=taxonomy.at(newest - 1).members(name))
        case Rename(old=old, new=new):
            return Rename(old=new, new=old)


def concerned(now: Classes, change: Change) -> Callable[[str, LabelKind | None], bool]:
    """Whether ``change``, made to ``now``, concerns an image with that label and kind."""
    then = now.after(change)

    def concerns(label: str, kind: LabelKind | None) -> bool:
        trained = kind is LabelKind.CLASS
        match change:
            case Merge(into=into):
                return trained and then.class_of(label) == into
            case Split(class_name=name):
                return trained and now.class_of(label) == name
            case Rename(old=old):
                return covers(old, label) or (trained and covers(old, now.class_of(label)))

    return concerns


def _names(now: Classes) -> set[str]:
    """Names that only the rules hold, images or not."""
    return {*now.merged, *(member for members in now.merged.values() for member in members)}
