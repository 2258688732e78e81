"""The ``menagerie`` command: what it offers, and how it fails.

Only typer is imported up front; each command imports its own needs when it runs, so that
``--help`` and shell completion answer at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from services.ops.clients.errors import OpsError
from services.ops.commands import (
    benchmarks,
    classes,
    compare,
    compress,
    confused_pairs,
    datasets,
    dead_letters,
    dedup,
    demo,
    explain,
    exports,
    images,
    interchange,
    labels,
    library,
    models,
    pages,
    rebuild,
    report,
    review_queue,
    search,
    snapshots,
    stack,
    state,
    taxonomy,
    train,
    vectors,
)


class Commands(TyperGroup):
    """``export`` means a model, and with ``--format`` the images of the library."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # typer keeps these types to itself
        """The command that ``args`` begin with."""
        if args[:1] == ["export"] and any(text.split("=")[0] == "--format" for text in args):
            args = ["export-images", *args[1:]]
        return super().resolve_command(ctx, args)


HELP = "Run the whole life of a production image classifier: pictures in, models out."
EPILOG = "Begin with `menagerie demo`, or with `menagerie up` and `menagerie upload DIR`."


def build() -> typer.Typer:
    """The command with all its subcommands."""
    app = typer.Typer(
        name="menagerie",
        cls=Commands,
        help=HELP,
        epilog=EPILOG,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    groups: dict[str, tuple[Callable[..., None], ...]] = {
        "This machine": (stack.up, stack.down, demo.demo),
        "What goes on": (state.status, state.watch, pages.open_),
        "Library": (
            library.upload,
            images.images,
            images.image,
            snapshots.snapshot,
            snapshots.snapshots,
            library.reconcile,
            classes.classes,
        ),
        "Labels": (labels.label, labels.label_undo, labels.opinion, labels.double_check),
        "Exchange": (interchange.import_, interchange.export_images),
        "Models": (
            train.train,
            train.cancel,
            search.search,
            search.searches,
            search.search_report,
            models.models,
            models.evaluate,
            report.report,
            compare.compare,
            explain.explain,
            models.export,
            compress.compress,
            exports.download_model,
            exports.verify_export,
            models.bulk_identify,
            vectors.vectors,
        ),
    }
    for panel, commands in groups.items():
        for command in commands:
            name = command.__name__.rstrip("_").replace("_", "-")
            app.command(name=name, rich_help_panel=panel)(command)
    app.add_typer(_benchmark(), name="benchmark", rich_help_panel="Labels")
    app.add_typer(_taxonomy(), name="taxonomy", rich_help_panel="Labels")
    app.add_typer(review_queue.group(), name="review-queue", rich_help_panel="Labels")
    app.add_typer(confused_pairs.group(), name="confused-pairs", rich_help_panel="Models")
    app.add_typer(dedup.group(), name="dedup", rich_help_panel="Library")
    app.add_typer(datasets.group(), name="dataset", rich_help_panel="Models")
    app.add_typer(_dead_letters(), name="dead-letters", rich_help_panel="Repair")
    app.add_typer(_rebuild(), name="rebuild", rich_help_panel="Repair")
    return app


def _benchmark() -> typer.Typer:
    app = typer.Typer(
        help="Hand-picked sets that models are measured on, and never trained on.", no_args_is_help=True
    )
    app.command(name="add")(benchmarks.add)
    app.command(name="remove")(benchmarks.remove)
    app.command(name="list")(benchmarks.list_sets)
    return app


def _taxonomy() -> typer.Typer:
    app = typer.Typer(help="Which sub-classes are trained as one class.", no_args_is_help=True)
    for command in (
        taxonomy.show, taxonomy.history, taxonomy.merge, taxonomy.split, taxonomy.rename, taxonomy.undo,
        classes.apply,
    ):  # fmt: skip
        app.command(name=command.__name__)(command)
    return app


def _dead_letters() -> typer.Typer:
    app = typer.Typer(
        help="List, show and send again the messages that were put aside.", no_args_is_help=True
    )
    app.command(name="list")(dead_letters.list_letters)
    app.command(name="show")(dead_letters.show)
    app.command(name="replay")(dead_letters.replay)
    return app


def _rebuild() -> typer.Typer:
    app = typer.Typer(help="Make a store anew from the event log.", no_args_is_help=True)
    app.command(name="reporter")(rebuild.reporter)
    # One command alone would take the group's place.
    app.callback()(_rebuild_group)
    return app


def _rebuild_group() -> None:
    """Make a store anew from the event log."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point; every expected failure is one sentence on standard error and exit code 1."""
    try:
        build()(args=None if arguments is None else list(arguments), prog_name="menagerie")
    except OpsError as error:
        from services.ops.clients.output import plain

        print(f"menagerie: {plain(error)}", file=sys.stderr)  # noqa: T201
        sys.exit(1)


if __name__ == "__main__":
    main()
