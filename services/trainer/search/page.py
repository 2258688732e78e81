"""The report as one HTML page without script or foreign address; whatever was named is escaped."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from services.trainer.search.charts import Chart

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
:root { color-scheme: light; --ink: #1d2429; --quiet: #5c6670; --line: #d9dee2; --best: #fbe9ec; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: #fff; margin: 2rem auto;
  max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
.quiet { color: var(--quiet); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; } dt { color: var(--quiet); }
dd { margin: 0; overflow-wrap: anywhere; } .big { font-size: 1.6rem; font-weight: 600; }
pre { background: #f4f6f7; padding: .8rem; overflow-x: auto; font-size: .85rem; }
img { width: 100%; height: auto; } figure { margin: 0; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; }
td { white-space: nowrap; } td.words { white-space: normal; min-width: 8rem; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr.best { background: var(--best); font-weight: 600; } tr.ended-early { color: var(--quiet); }
"""
Cell = tuple[str, str]
"""Text, and its class."""


def page_of(document: dict[str, Any], charts: Sequence[Chart]) -> str:
    """The whole page."""
    name = f"Search {document['search_id']}"
    asked = f"asked for by {document['by']}, {_moment(document['requested_at'])}"
    parts = [
        f"<h1>{_text(name)}</h1>",
        f'<p class="quiet">{_text(asked)}</p>',
        _best(document["best"]),
        _facts(document),
        *(_figure(chart) for chart in charts),
        _weighing(document),
        "<h2>Trials</h2>",
        _trials(document),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(name)}</title><style>{STYLE}</style></head><body>\n{chr(10).join(parts)}\n</body></html>\n"
    )


def _best(best: dict[str, Any] | None) -> str:
    if best is None:
        return "<h2>Best</h2><p>No trial came to its end.</p>"
    chosen = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(_value(value))}</dd>" for name, value in best["chosen"].items()
    )
    request = json.dumps(best["request"], indent=1)  # in ASCII: what is copied from here is what is meant
    return (
        f"<h2>Best: trial {best['number']}</h2>"
        f'<p><span class="big">{_share(best["best_val_accuracy"])}</span> '
        f'<span class="quiet">validation accuracy, epoch {best["best_epoch"]} of {best["epochs"]}</span></p>'
        f"<dl>{chosen}</dl>"
        "<details><summary>The request, ready to run: save it as <code>best.json</code>, then "
        "<code>menagerie train --from-file best.json</code></summary>"
        f"<pre>{_text(request)}</pre></details>"
    )


def _facts(document: dict[str, Any]) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in document["counts"].items() if count)
    facts = {
        "trials": f"{len(document['trials'])} of at most {document['trials_at_most']} ({counts or 'none'})",
        "method": f"{document['method']}, seed {document['seed']}, {document['parallel']} at once",
        "snapshot": document["snapshot_id"],
        "starts from": document["base"] if document["base"] == "scratch" else f"model {document['base']}",
        "took": _time(document["seconds"]),
        "space": "; ".join(f"{name}: {_asked(asked)}" for name, asked in document["space"].items()),
    }
    rows = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in facts.items())
    return f"<h2>The search</h2><dl>{rows}</dl>"


def _figure(chart: Chart) -> str:
    data = base64.b64encode(chart.svg).decode()
    return (
        f"<h2>{_text(chart.title)}</h2><figure>"
        f'<img alt="{_text(chart.text)}" src="data:image/svg+xml;base64,{data}">'
        f'<figcaption class="quiet">{_text(chart.text)}</figcaption></figure>'
    )


def _weighing(document: dict[str, Any]) -> str:
    if document["importance"] is not None:
        return (
            f'<p class="quiet">Importance by {_text(document["importance_method"])}, from the completed '
            "trials; with few of them it is a hint, no proof.</p>"
        )
    return (
        '<p class="quiet">Too few completed trials, or all alike: nothing can be said of what mattered.</p>'
    )


def _trials(document: dict[str, Any]) -> str:
    options = list(document["space"])
    best = document["best"]["number"] if document["best"] else None
    head = ["trial", "validation accuracy", "best epoch", *options, "state", "took", "run"]
    numbers = {"trial", "validation accuracy", "best epoch", "took"}
    rows = "".join(_row(trial, options, trial["number"] == best) for trial in document["trials"])
    titles = "".join(
        f'<th scope="col"{_class("number" if name in numbers else "")}>{_text(name)}</th>' for name in head
    )
    return f'<div class="wide"><table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table></div>'


def _row(trial: dict[str, Any], options: Iterable[str], best: bool) -> str:
    cells: list[Cell] = [
        (str(trial["number"]), "number"),
        (_share(trial["best_val_accuracy"]), "number"),
        ("-" if trial["best_epoch"] is None else f"{trial['best_epoch']} of {trial['epochs']}", "number"),
        *((_value(trial["chosen"][name]), "") for name in options),
        (f"{trial['state']}: {trial['error']}" if trial["error"] else trial["state"], "words"),
        (_time(trial["seconds"]), "number"),
        (trial["run_id"], ""),
    ]
    look = "best" if best else "" if trial["state"] == "complete" else "ended-early"
    shown = "".join(f"<td{_class(kind)}>{_text(text)}</td>" for text, kind in cells)
    return f"<tr{_class(look)}>{shown}</tr>"


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""


def _asked(asked: Any) -> str:
    if isinstance(asked, list):
        return ", ".join(_value(value) for value in asked)
    extra = " by orders of magnitude" if asked["log"] else ""
    step = f" in steps of {_value(asked['step'])}" if asked["step"] is not None else ""
    return f"{_value(asked['low'])} to {_value(asked['high'])}{extra}{step}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
    )


def _moment(text: str) -> str:
    return f"{text[:16].replace('T', ' ')} UTC"


def _text(value: object) -> str:
    """Escaped, and without signs that turn the direction of what follows."""
    shown = "".join(
        one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in str(value)
    )
    return escape(shown)
