"""How a run stands while it is followed: a bar on a terminal, a line an epoch in a pipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from services.ops.clients.output import Output, epoch_line, share

Row = dict[str, Any]


@contextmanager
def following(output: Output, run_id: str) -> Iterator[Callable[[Row], None]]:
    """What it yields is told each epoch; a Ctrl-C meanwhile says that the run goes on, and how to stop it."""
    try:
        with _shown(output) as show:
            yield show
    except BaseException as error:
        # asyncio turns the first Ctrl-C into a cancel of the command, and that into a KeyboardInterrupt.
        if type(error).__name__ in ("KeyboardInterrupt", "CancelledError"):
            output.warn(f"The run goes on; `menagerie cancel {run_id}` stops it.")
        raise


@contextmanager
def _shown(output: Output) -> Iterator[Callable[[Row], None]]:
    console = output.console
    if not console.is_terminal:
        yield lambda epoch: output.say(epoch_line(epoch))
        return
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starts", total=None, figures="")

        def show(epoch: Row) -> None:
            progress.update(
                task, completed=epoch["epoch"], total=epoch["epochs"], figures=figures(epoch),
                description=f"epoch {epoch['epoch']} of {epoch['epochs']}",
            )  # fmt: skip

        yield show


def figures(epoch: Row) -> str:
    """Loss, accuracies, speed, waiting, time left and cost of one epoch."""
    parts = [f"loss {epoch['loss']:.4g}", f"accuracy {share(epoch['accuracy'])}"]
    if epoch["val_accuracy"] is not None:
        parts.append(f"validation {share(epoch['val_accuracy'])}")
    parts.append(f"{epoch['images_per_s'] or 0:.0f} images/s")
    if epoch.get("data_wait_share") is not None:
        parts.append(f"waits {share(epoch['data_wait_share'])}")
    if epoch.get("gpu_share") is not None:
        parts.append(f"GPU {share(epoch['gpu_share'])}")
    parts.append(f"{epoch['eta_s'] or 0:.0f} s left")
    if epoch.get("cost") is not None:
        parts.append(f"cost {epoch['cost']:.2f} of {epoch['cost_estimate'] or epoch['cost']:.2f}")
    return "  ".join(parts)
