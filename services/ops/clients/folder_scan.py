"""A scan of a folder in a child process, and what is written of it: report and contact sheet."""

from __future__ import annotations

import base64
import csv
import io
import json
import secrets
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from services.ops.clients.contact_sheet import SheetPair, SheetPicture, write_sheet
from services.ops.clients.errors import OpsError
from services.ops.clients.output import plain
from services.runtime.child import ChildDied, ChildFailed, run_child
from services.runtime.cores import usable_cores

MODULE = "services.dedup.scan"
NEEDED = ("imagecodecs", "imagehash", "numba", "PIL")
SHEET_PAIRS = 1_000
"""A sheet of so many has about 25 MB."""
CSV_COLUMNS = (
    "kind", "group", "file", "keep", "distance_bits", "orientation", "width_px", "height_px", "bytes",
    "reason",
)  # fmt: skip
Report = dict[str, Any]
Progress = Callable[[dict[str, Any]], Awaitable[None]]


@dataclass(frozen=True)
class Request:
    """What is asked of a scan."""

    folder: Path
    cache: Path | None
    distance_bits: int | None = None
    turned: bool = True
    workers: int | None = None
    report: Path | None = None
    sheet: Path | None = None

    def check(self) -> None:
        """Before hours of work.

        Raises:
            OpsError: the results could not be written, or parts of the installation are missing.
        """
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise OpsError(f"a scan needs {', '.join(missing)}: install menagerie[dedup]")
        for file, suffixes in ((self.report, (".json", ".csv")), (self.sheet, (".html", ".htm"))):
            if file is None:
                continue
            if file.suffix.lower() not in suffixes:
                raise OpsError(f"{file} must end in {' or '.join(suffixes)}")
            if not file.parent.is_dir():
                raise OpsError(f"the folder {file.parent} does not exist: make it, or choose another place")


def default_cache() -> Path:
    """In the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("menagerie") / "dedup-scan.sqlite"


async def scan_folder(asked: Request, on_progress: Progress) -> tuple[Report, dict[str, Any]]:
    """The report, and what the scan says of itself (counts, ``remembered``); files are written as asked.

    Raises:
        OpsError: the folder cannot be scanned, or a result cannot be written.
    """
    asked.check()
    with tempfile.TemporaryDirectory(prefix="menagerie-scan-") as name:
        report, shown = Path(name) / "report.json", Path(name) / "shown.json"
        spec = {
            "folder": str(asked.folder.expanduser()),
            "report": str(report),
            "cache": None if asked.cache is None else str(asked.cache.expanduser()),
            "distance_bits": asked.distance_bits,
            "turned": asked.turned,
            "processes": asked.workers or usable_cores(),
            "shown": None if asked.sheet is None else str(shown),
            "shown_pairs": SHEET_PAIRS,
        }
        # Its processes are what uses several processors.
        env = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        try:
            said = await run_child(MODULE, spec, on_progress, env)
        except ChildFailed as error:
            raise OpsError(error.message) from error
        except ChildDied as error:
            raise OpsError(f"the scan ended early: {error}") from error
        text = report.read_bytes()
        made: Report = json.loads(text)
        if asked.report is not None:
            _write(asked.report, text if asked.report.suffix.lower() == ".json" else _csv(made))
        if asked.sheet is not None:
            write_sheet(asked.sheet, _sheet_pairs(json.loads(shown.read_bytes())), *_titles(asked, made))
    return made, said


def _write(file: Path, content: bytes) -> None:
    """Complete or not at all."""
    beside = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        beside.write_bytes(content)
        beside.replace(file)
    except OSError as error:
        raise OpsError(f"{file} cannot be written ({error.strerror}): choose another place") from error
    finally:
        beside.unlink(missing_ok=True)


def _csv(report: Report) -> bytes:
    """A row for each file of a group or pair; names keep the bytes that they have on disk."""
    sink = io.StringIO(newline="")
    rows = csv.DictWriter(sink, CSV_COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    rows.writeheader()
    for number, (kind, keep, others) in enumerate(_kinds(report), start=1):
        rows.writerow({"kind": kind, "group": number, "keep": "yes", **keep})
        rows.writerows({"kind": kind, "group": number, "keep": "no", **other} for other in others)
    rows.writerows({"kind": "unreadable", **row} for row in report["unreadable"])
    return sink.getvalue().encode("utf-8", "surrogateescape")


def _kinds(report: Report) -> Iterator[tuple[str, Report, list[Report]]]:
    for kind in ("exact", "near"):
        for group in report[kind]:
            yield kind, group["keep"], group["copies"]
    for kind in ("copies_of_copies", "review"):
        for pair in report[kind]:
            measured = {name: pair[name] for name in ("distance_bits", "orientation")}
            yield kind.replace("_", " "), pair["keep"], [{**pair["other"], **measured}]


def _titles(asked: Request, report: Report) -> tuple[str, str]:
    pairs = sum(len(group["copies"]) for kind in ("exact", "near") for group in report[kind])
    pairs += len(report["review"])
    shown = "" if pairs <= SHEET_PAIRS else f", {SHEET_PAIRS} of them shown"
    return f"Duplicates in {asked.folder}", f"{report['counts']['images']} images, {pairs} pairs{shown}"


def _sheet_pairs(shown: list[dict[str, Any]]) -> Iterator[SheetPair]:
    from services.ops.clients.duplicates import TURNED  # imports an HTTP client, which a scan needs not

    for pair in shown:
        said = {
            "exact": f"the same {pair.get('same')}",
            "near": "copy",
            "review": "to review",
        }[pair["kind"]]
        bits = f"{pair['distance_bits']} of 256 bits" if "distance_bits" in pair else None
        turned = TURNED.get(pair.get("orientation", ""))
        facts = tuple(fact for fact in (said, bits, turned) if fact)
        yield SheetPair(_side(pair["keep"], keep=True), _side(pair["other"], keep=False), facts)


def _side(side: dict[str, Any], *, keep: bool) -> SheetPicture:
    lines = (f"{side['width_px']} x {side['height_px']} pixels", f"{side['bytes']:,} bytes")
    content = base64.b64decode(side["picture"]) if side["picture"] else None
    return SheetPicture(plain(side["file"]), content, lines, keep)
