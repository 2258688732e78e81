"""``menagerie review-queue``: labels in doubt, rounds of double-checks, verdicts and what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.ops.clients.output import Output, facts, table
from services.ops.commands.labels import Reason
from services.ops.commands.options import AsJson, By, DataDir, person
from services.ops.commands.session import open_evaluator, read_evaluator, run
from services.ops.commands.verdicts import verdict

if TYPE_CHECKING:
    from rich.console import Group

QUEUE, ROUNDS = "/api/v1/queue", "/api/v1/rounds"
SHOWN = 50
MOST = 10_000
SHORT_ID = 12
Row = dict[str, Any]

Model = Annotated[
    str | None, typer.Option("--model", metavar="MODEL", help="Version such as 002; default: the newest.")
]
OfClass = Annotated[str | None, typer.Option("--class", metavar="CLASS", help="Only images labelled so.")]
With = Annotated[
    str | None,
    typer.Option("--with", metavar="CLASS", help="With --class: images of either that look like the other."),
]
Sets = Annotated[
    list[str] | None, typer.Option("--set", metavar="SET", help="train, test, a benchmark; repeat for more.")
]


def group() -> typer.Typer:
    """The commands under ``menagerie review-queue``."""
    app = typer.Typer(
        help="Labels that are likely wrong: look at them again, and see what it gave.", no_args_is_help=True
    )
    for command in (show, send, rounds, verdict):
        app.command(name=command.__name__)(command)
    app.command(name="round")(one_round)
    return app


def show(
    model: Model = None,
    of_class: OfClass = None,
    with_class: With = None,
    sets: Sets = None,
    suspicion: Annotated[
        str | None, typer.Option("--suspicion", help="mislabelled, wrong or low-scoring.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many.")] = SHOWN,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List images whose label is in doubt, the most doubtful first, with what to compare them with."""
    params = {
        "model_version": model or "newest", "class": of_class, "confused_with": with_class,
        "set": sets or None, "suspicion": suspicion,
    }  # fmt: skip

    async def read() -> tuple[Row, list[Row]]:
        async with open_evaluator(data_dir) as evaluator:
            about = await evaluator.get(QUEUE, limit=1, **params)
            return about, [row async for row in evaluator.rows(QUEUE, "images", limit=limit, **params)]

    about, rows = run(read())
    data = {key: about[key] for key in ("model_version", "scored_at", "counts")} | {"images": rows}
    counts = ", ".join(f"{number} {word}" for word, number in sorted(about["counts"].items()))
    title = f"{len(rows)} images, the most doubtful first; model {about['model_version']} has {counts}"
    Output(as_json).end(data, images_table(title, rows))


def send(
    model: Model = None,
    of_class: OfClass = None,
    with_class: With = None,
    sets: Sets = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=MOST, help="At most so many; default: 100, or all of a class."),
    ] = None,
    reason: Reason = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send the most doubtful images, a whole class or a confused pair to double-check, as one round."""

    async def ask() -> Row:
        async with open_evaluator(data_dir) as evaluator:
            version = model or (await evaluator.get(QUEUE, limit=1))["model_version"]
            return {"model_version": version} | await evaluator.command(
                "model.review-requested", model_version=version, class_name=of_class,
                confused_with=with_class, sets=sets or [], limit=limit, reason=reason, by=person(by),
            )  # fmt: skip

    done = run(ask())
    shown = {
        "model": done["model_version"],
        "round": done["round_id"],
        "to work through it": f"menagerie review-queue round {done['round_id']} --waiting",
        "to give a verdict": "menagerie review-queue verdict IMAGE keep|relabel|remove|unsure",
    }
    Output(as_json).end(done, facts("Sent to double-check", shown))


def rounds(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the rounds, the newest first."""
    data = run(read_evaluator(data_dir, ROUNDS))
    rows = [
        (
            row["round_id"],
            row["model_version"],
            part_of(row),
            row["images"],
            row["waiting"],
            row["requested_at"][:10],
        )
        for row in data["rounds"]
    ]
    columns = ("id", "model", "of", "images", "waiting", "on")
    Output(as_json).end(data, table(f"{len(rows)} rounds", columns, rows))


def one_round(
    round_id: Annotated[str, typer.Argument(metavar="ROUND", help="Its id, as `send` and `rounds` tell it.")],
    waiting: Annotated[bool, typer.Option("--waiting", help="Only images without a verdict.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=MOST, help="At most so many.")] = SHOWN,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Show a round: its images in order, their verdicts, and the next model beside this one."""
    place = f"{ROUNDS}/{round_id}"

    async def read() -> tuple[Row, list[Row]]:
        async with open_evaluator(data_dir) as evaluator:
            about = await evaluator.get(place)
            found = evaluator.rows(f"{place}/images", "images", limit=limit, waiting=waiting)
            return about, [row async for row in found]

    about, rows = run(read())
    title = f"Round {about['round_id']}: {part_of(about)} of model {about['model_version']}"
    shown = {"effect": about["effect"][0], "models": about["effect"][1], "asked by": about["by"]}
    Output(as_json).end(
        about | {"listed": rows}, facts(title, shown), images_table(f"{len(rows)} images", rows)
    )


def images_table(title: str, rows: list[Row]) -> Group:
    """Narrow enough for a terminal; ids as short as the commands take them."""
    columns = ("id", "set", "doubt", "label", "looks like", "own %", "other %", "compare with", "verdict")
    lines = [
        (
            row["image_id"][:SHORT_ID],
            row["set"],
            row["suspicion"],
            row["label"],
            row["other"],
            round(100 * row["p_label"], 1),
            round(100 * row["p_other"], 1),
            " ".join((row[one] or "-")[:SHORT_ID] for one in ("label_example", "other_example")),
            row.get("verdict"),
        )
        for row in rows
    ]
    return table(title, columns, lines)


def part_of(row: Row) -> str:
    """Which images a round is of."""
    if row["confused_with"] is not None:
        return f"{row['class_name']} and {row['confused_with']}"
    named: str | None = row["class_name"]
    return named or "the most doubtful"
