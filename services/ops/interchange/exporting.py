"""The library out to a folder: listed, fetched a few at a time, renamed when it is whole."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.values import Suggestion
from services.ops.clients.errors import OpsError
from services.ops.clients.library import Library
from services.ops.clients.retry import persist
from services.ops.interchange import imagefolder, web_dataset
from services.ops.interchange.formats import Format
from services.ops.interchange.pictures import FOLDER, suffix_of
from services.ops.interchange.records import BadRow, Record, record_of

ORIGINAL, NORMALISED, NONE = "original", "normalised", "none"
PICTURES = (ORIGINAL, NORMALISED, NONE)
IN_FLIGHT = 6
"""Downloads at once: hides the round trips; six of the largest files are 200 MB."""
PARTIAL = ".partial"
MARK = ".menagerie-export"
"""Says that the folder is ours to clear: it lies there until the export is whole."""
WITHOUT_PICTURES = frozenset({"csv", "parquet"})
Advance = Callable[[int], None]


@dataclass(frozen=True)
class ExportPlan:
    """What to write and where."""

    out: Path
    format: Format
    pictures: str = ORIGINAL
    shard_images: int = 10_000
    """WebDataset's shards: the lower end of domain.md section 5."""

    @property
    def partial(self) -> Path:
        """Where it grows; a former export that was interrupted is continued here."""
        return self.out.with_name(f"{self.out.name}{PARTIAL}")

    def check(self) -> None:
        """Raises OpsError when it cannot be done at all."""
        if self.pictures == NONE and self.format.name not in WITHOUT_PICTURES:
            names = " or ".join(sorted(WITHOUT_PICTURES))
            raise OpsError(f"{self.format.name} needs its pictures: leave them out with --format {names}")
        if self.out.exists() and (not self.out.is_dir() or any(self.out.iterdir())):
            raise OpsError(f"{self.out} is not empty: name a folder that is empty or not there yet")
        if self.partial.exists() and not (self.partial / MARK).is_file():
            raise OpsError(
                f"{self.partial} is in the way, and no export made it: move it or name another folder"
            )


async def list_records(library: Library, **filters: Any) -> list[Record]:
    """The images that fit, sorted by image id; an outage is sat out."""

    async def listed() -> list[Record]:
        return [_record(row) async for row in library.rows("/api/v1/images", "images", **filters)]

    return await persist(listed)


def _record(row: dict[str, Any]) -> Record:
    suggestion = row.get("suggestion")
    try:
        cells = {**row, "label_kind": row["kind"], "file": None}
        cells["suggestion"] = Suggestion.model_validate(suggestion) if suggestion else None
        return record_of(cells)
    except (BadRow, KeyError, ValueError) as error:
        raise OpsError(f"image {row.get('image_id')!r} of the library cannot be written: {error}") from error


async def export(library: Library, plan: ExportPlan, records: Sequence[Record], advance: Advance) -> None:
    """Write ``records`` and their pictures; the folder has its name only when it is whole.

    Raises:
        OpsError: the folder is in use, an image is gone or damaged, or ingest was away too long.
    """
    plan.check()
    plan.partial.mkdir(parents=True, exist_ok=True)
    (plan.partial / MARK).touch()
    if plan.format.name == "webdataset":
        wanted = await _export_shards(library, plan, records, advance)
    else:
        placed = await _export_files(library, plan, records, advance)
        wanted = {plan.partial / one.file for one in placed if one.file}
        if plan.format.write is not None:
            await asyncio.to_thread(plan.format.write, plan.partial, placed)
            wanted.add(plan.partial / plan.format.manifest)
    await asyncio.to_thread(_finish, plan, wanted)


async def _export_files(
    library: Library, plan: ExportPlan, records: Sequence[Record], advance: Advance
) -> list[Record]:
    """The records with ``file`` filled in, their pictures in place."""
    if plan.pictures == NONE:
        return list(records)
    kept = await asyncio.to_thread(lambda: {path.stem: path for path in _files(plan.partial)})
    waiting = iter(range(len(records)))
    placed: list[Record] = list(records)

    async def work() -> None:
        for number in waiting:  # shared: each picture is taken by one worker
            placed[number] = await _export_file(library, plan, records[number], kept)
            advance(1)

    await _together(work)
    return placed


async def _export_file(library: Library, plan: ExportPlan, record: Record, kept: dict[str, Path]) -> Record:
    image_id = str(record.image_id)
    earlier = kept.get(image_id)
    data = await asyncio.to_thread(_intact, earlier, image_id) if plan.pictures == ORIGINAL else None
    if data is None:
        data = await _picture(library, plan, record)
    name = f"{image_id}.{suffix_of(data)}"
    file = imagefolder.place(record, name) if plan.format.name == "imagefolder" else f"{FOLDER}/{name}"
    if plan.partial / file != earlier or plan.pictures != ORIGINAL:
        await asyncio.to_thread(_write, plan.partial / file, data)
    return record.model_copy(update={"file": file})


async def _picture(library: Library, plan: ExportPlan, record: Record) -> bytes:
    path = f"/api/v1/images/{record.image_id}/{plan.pictures}"
    data = await persist(lambda: library.content(path))
    if plan.pictures == ORIGINAL and hashlib.sha256(data).hexdigest() != record.image_id:
        raise OpsError(
            f"the original of image {record.image_id} is damaged in the store: upload the file again"
        )
    return data


async def _export_shards(
    library: Library, plan: ExportPlan, records: Sequence[Record], advance: Advance
) -> set[Path]:
    names = web_dataset.class_names(records)
    web_dataset.write_classes(plan.partial, names)
    written = {plan.partial / web_dataset.CLASSES_FILE}
    for number, start in enumerate(range(0, len(records), plan.shard_images)):
        path = plan.partial / f"shard-{number:06d}.tar"
        unready = path.with_name(f"{path.name}{PARTIAL}")
        with unready.open("wb") as sink:
            shard = web_dataset.ShardWriter(sink, names)
            for group in _slices(records[start : start + plan.shard_images], IN_FLIGHT):
                pictures = await asyncio.gather(*(_picture(library, plan, one) for one in group))
                await asyncio.to_thread(shard.extend, group, pictures)
                advance(len(group))
            shard.close()
        unready.replace(path)
        written.add(path)
    return written


async def _together(work: Callable[[], Any]) -> None:
    """Run ``work`` a few times at once; the first failure is the failure."""
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(IN_FLIGHT):
                group.create_task(work())
    except ExceptionGroup as failures:  # `except*` of early 3.11 wraps what is raised in it
        if failures.split((OpsError, OSError))[1] is not None:
            raise
        raise failures.exceptions[0] from None


def _slices(records: Sequence[Record], size: int) -> Iterator[Sequence[Record]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _files(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder):
        for name in names:
            yield Path(root, name)


def _intact(path: Path | None, image_id: str) -> bytes | None:
    """The bytes at ``path`` if an interrupted export left the whole original there."""
    if path is None or not path.is_file():
        return None
    data = path.read_bytes()
    return data if hashlib.sha256(data).hexdigest() == image_id else None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unready = path.with_name(f"{path.name}{PARTIAL}")
    unready.write_bytes(data)
    unready.replace(path)


def _finish(plan: ExportPlan, wanted: set[Path]) -> None:
    """Clear what an interrupted export left behind and give the folder its name."""
    for path in set(_files(plan.partial)) - wanted:
        path.unlink()
    for root, _, _ in os.walk(plan.partial, topdown=False):
        if root != str(plan.partial) and not any(Path(root).iterdir()):
            Path(root).rmdir()
    if plan.out.exists():
        plan.out.rmdir()
    plan.partial.rename(plan.out)
