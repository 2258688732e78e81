"""Checks a report of a running stack: ``python -m tests.support.check_stack_report DATA_DIR [MODEL]``."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow.parquet as pq

from contracts.events import ImageFlagged, ModelTrained
from contracts.message import Message
from contracts.values import ObjectRef
from services.ops.clients.bus import Bus
from services.ops.commands import exports
from services.ops.commands.session import open_evaluator, open_session
from services.runtime.objectstore import ObjectStore
from tests.support.report_check import Filed, differences

M = TypeVar("M", bound=Message)


def filed_of(store: ObjectStore, report: ObjectRef, dataset: ObjectRef, **beside: Any) -> Filed:
    """The files of a scoring on its model's own data set."""
    document = json.loads(store.get(report))
    results = store.get(ObjectRef.model_validate(document["results"]))
    scores = store.get(ObjectRef.model_validate(document["scores"]))
    return Filed(
        document,
        pq.read_table(io.BytesIO(results)).to_pylist(),
        np.load(io.BytesIO(scores)),
        pq.read_table(io.BytesIO(store.get(dataset))).to_pylist(),
        **beside,
    )


async def stacks_report(data_dir: Path, version: str) -> Filed:
    """The newest scoring of that model; what the evaluator was told is read from the log again."""
    store, _ = exports._store(data_dir)
    async with open_evaluator(data_dir) as evaluator, open_session(data_dir) as session:
        about = await evaluator.get(f"/api/v1/reports/{version}")
        report = ObjectRef.model_validate(about["report"])
        number = json.loads(await asyncio.to_thread(store.get, report))["confused_pairs"]["version"]
        pairs = (await evaluator.get("/api/v1/confused-pairs", version=number))["pairs"]
        models = {one.model_version: one async for one in said(session.bus, ModelTrained)}
        flags = {one.image_id: one.flags async for one in said(session.bus, ImageFlagged)}
    return filed_of(
        store, report, models[about["model_version"]].dataset,
        pairs={(pair["one"], pair["other"]): pair["weight"] for pair in pairs},
        flags={image_id: [flag.flag for flag in some] for image_id, some in flags.items()},
    )  # fmt: skip


async def said(bus: Bus, kind: type[M]) -> Any:
    """All messages of a kind, in order."""
    place = 0
    while (found := await bus.next_said(kind, place)) is not None:
        place = found.seq or place + 1
        yield kind.model_validate_json(found.data or b"")


def main(data_dir: str, version: str = "newest") -> int:
    """Print what differs; 1 when anything does."""
    filed = asyncio.run(stacks_report(Path(data_dir), version))
    found = differences(filed)
    images, model = len(filed.results), filed.report["model_version"]
    print(*found, f"model {model}, {images} images: {len(found)} differences", sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
