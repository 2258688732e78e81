"""How a search stands while it runs: a table that renews itself on a terminal, lines in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from services.ops.clients.output import Output, plain, share, table

ROWS = 12
"""Trials shown at once: those that run, and the newest."""
Row = dict[str, Any]


@contextmanager
def showing(output: Output) -> Iterator[Callable[[Row], None]]:
    """What it yields is told how the search stands."""
    console = output.console
    if not console.is_terminal:
        told: set[int] = set()
        yield lambda search: _lines(output, search, told)
        return
    from rich.live import Live

    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield lambda search: live.update(_table(search), refresh=True)


def _lines(output: Output, search: Row, told: set[int]) -> None:
    for trial in search["trial_list"]:
        if trial["state"] != "running" and trial["number"] not in told:
            told.add(trial["number"])
            chosen = ", ".join(f"{name} {plain(value)}" for name, value in trial["chosen"].items())
            found = share(trial["best_val_accuracy"]) if trial["error"] is None else trial["error"]
            output.say(f"trial {trial['number']} {trial['state']}  {found}  {chosen}  ({headline(search)})")


def headline(search: Row) -> str:
    """All of it in one line."""
    from services.ops.clients.searches import standing

    now = standing(search)
    ended = sum(count for state, count in now["counts"].items() if state != "running")
    best = now["best"]
    return (
        f"{ended} of at most {plain(search['trials_planned'])} trials done, "
        f"{now['counts'].get('running', 0)} running, {now['counts'].get('pruned', 0)} pruned, "
        f"best {share(best['best_val_accuracy']) if best else '-'}, {_time(now['left_s'])} left"
    )


def _table(search: Row) -> Any:
    trials: list[Row] = search["trial_list"]
    running = [trial for trial in trials if trial["state"] == "running"]
    ended = [trial for trial in trials if trial["state"] != "running"]
    shown = sorted([*running, *ended[-max(1, ROWS - len(running)) :]], key=lambda trial: int(trial["number"]))
    options = list(search["space"] or ())
    rows = [
        (
            trial["number"], *(trial["chosen"][name] for name in options), trial["state"],
            f"{trial['epochs_run']}/{plain(trial['epochs_planned'])}",
            share(trial["best_val_accuracy"] if trial["state"] != "running" else trial["val_accuracy"]),
        )
        for trial in shown
    ]  # fmt: skip
    return table(headline(search), ("trial", *options, "state", "epochs", "validation"), rows)


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "time unknown"
    minutes = seconds / 60
    return f"about {minutes / 60:.1f} h" if minutes >= 90 else f"about {minutes:.0f} min"
