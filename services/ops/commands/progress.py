"""Progress for a person: a bar or a spinner on a terminal, silence in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.ops.clients.output import Output


@contextmanager
def counting(output: Output, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar that the yielded function advances; it only counts when the total is not known."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=output.console, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


@contextmanager
def waiting(output: Output, what: str) -> Iterator[None]:
    """A spinner with the seconds so far."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=output.console, transient=True) as progress:
        progress.add_task(what, total=None)
        yield


@contextmanager
def measuring(output: Output, what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that the yielded function sets to so many of so many; a spinner until it is first called."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=output.console, transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)
