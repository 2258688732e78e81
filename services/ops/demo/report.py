"""The demo's last tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.ops.clients.output import facts, share, table

if TYPE_CHECKING:
    from rich.console import Group

Row = dict[str, Any]


def tables(report: Row, web: str, data_dir: str, *, stays: bool) -> list[Group]:
    """Everything a person may want to know when it is over."""
    demo = report["demo"]
    made = [_accounting(report), _broken(demo)] if demo["broken"] else [_accounting(report)]
    if report["models"]:
        made += [_models(report), *_comparison(demo), *_bulk(demo)]
    made.append(table("Seconds per stage", ("stage", "seconds"), report["seconds"].items()))
    option = f"--data-dir {data_dir}"
    again = {} if stays else {"start it again": f"menagerie up {option}"}
    look = {
        "web page": web, "data": data_dir, **again,
        "pictures": f"menagerie images {option}", "models": f"menagerie models {option}",
        "what goes on": f"menagerie status {option}",
        "look-alike pairs": f"{report['images']['pairs_in_review']} wait: menagerie dedup pairs {option}",
        "put aside": f"{report['dead_letters']} messages: menagerie dead-letters list {option}",
    }  # fmt: skip
    return [*made, facts("Where to look", look)]


def _accounting(report: Row) -> Group:
    images, found = report["images"], report["demo"]["duplicates"]
    balance = "every file accounted for" if report["demo"]["accounting"]["balanced"] else "FILES ARE MISSING"
    shown = {
        "uploaded": f"{images['uploaded']} = {images['accepted']} accepted + "
        f"{images['exact_duplicates']} exact duplicates + {images['rejected']} rejected: {balance}",
        "exact duplicates": f"{images['exact_duplicates']} found, {found['planted_exact']} planted",
        "near duplicates": f"{images['near_duplicates']} left out of training; "
        f"planted {found['found_near']}/{found['planted_near']} found",
        "distinct pictures flagged": f"{found['distinct_flagged']} of {found['distinct']} "
        f"({share(found['distinct_flagged_share'])})",
        "labelled / unlabelled": f"{images['labelled']} / {images['unlabelled']}",
    }
    return facts("Every file ends in one state", shown)


def _broken(demo: Row) -> Group:
    return table("Files that are no pictures", ("file", "ended"), demo["broken"].items())


def _models(report: Row) -> Group:
    rows = [
        (
            row["version"],
            row["base_version"] or "random weights",
            row["class_count"],
            row["epochs"],
            share(row["best_val_accuracy"]),
            share(row["test_accuracy"]),
            row["gate"],
            row["state"],
        )
        for row in report["models"]
    ]
    columns = ("model", "from", "classes", "epochs", "validation", "test", "gate", "state")
    return table("Models", columns, rows)


def _comparison(demo: Row) -> list[Group]:
    found = demo["comparison"]
    if not found:
        return []
    rows = [
        (
            "fine-tuned",
            share(found["first_epoch_fine_tuned"]),
            share(found["fine_tuned_best_accuracy"]),
            found["fine_tuned_epochs"] or "not reached",
        ),
        (
            "from scratch",
            share(found["first_epoch_scratch"]),
            share(found["scratch_best_accuracy"]),
            found["scratch_epochs"],
        ),
    ]
    best = share(found["scratch_best_accuracy"])
    columns = ("run on the same classes", "after epoch 1", "best validation", f"epochs to {best}")
    return [table("Fine-tuning against random weights", columns, rows)]


def _bulk(demo: Row) -> list[Group]:
    found = demo["bulk"]
    if not found:
        return []
    return [
        facts(
            f"Model {found['model']} on what came without a label",
            {
                "pictures whose class only the demo knew": found["unlabelled"],
                "identified": found["identified"],
                f"at or above {found['threshold']:g} %": found["above"],
                "right, and at or above": share(found["right_above_share"]),
                "right at any confidence": share(found["right_share"]),
            },
        )
    ]
