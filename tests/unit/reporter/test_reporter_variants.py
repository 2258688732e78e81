"""What the read model tells of compressed models."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from contracts.events import CompressedVariant, ModelCompressed
from services.reporter.domain.projection import project_all
from services.reporter.store.tables import metadata
from services.reporter.store.variants import variants
from services.reporter.store.views import create_views
from services.reporter.store.writing import write
from services.runtime.database import make_engine
from tests.support.reporter_events import REF
from tests.support.reporter_story import NOON


def compressed(request_id: str, minutes: int, *names: str) -> ModelCompressed:
    fields: dict[str, Any] = {
        "file": REF, "size_ratio": 0.28, "accuracy": 0.95, "accuracy_delta": -0.01, "agreement": 0.98,
        "images_per_s": 700.0, "speed_ratio": 1.9,
    }  # fmt: skip
    made = tuple(CompressedVariant.model_validate({"name": name, **fields}) for name in names)
    return ModelCompressed(
        request_id=request_id, model_version="007", test_images=60, variants=made, measured_on="validation",
        accuracy=0.96, compressed_at=NOON + timedelta(minutes=minutes),
    )  # fmt: skip


def test_variants_are_told_by_request_the_newest_first_in_their_order() -> None:
    engine = make_engine("sqlite://")
    older, newer = (
        compressed("older", 0, "litert", "int8"),
        compressed("newer", 5, "litert", "float16", "int8"),
    )
    with engine.begin() as connection:
        metadata.create_all(connection)
        create_views(connection)
        write(connection, project_all([(newer, 9), (older, 3), (newer, 9)]))
        told = variants(connection, "007")
        assert variants(connection, "008") == []
        columns = {column.name for column in metadata.tables["fct_model_variants"].c}
        shown = {column["name"] for column in sa.inspect(connection).get_columns("rpt_model_variants_v1")}
    engine.dispose()
    assert [(row["request_id"], row["variant_name"]) for row in told] == [
        ("newer", "litert"), ("newer", "float16"), ("newer", "int8"), ("older", "litert"), ("older", "int8"),
    ]  # fmt: skip
    assert (told[0]["measured_images"], told[0]["measured_on"], told[0]["whole_accuracy"]) == (
        60,
        "validation",
        0.96,
    )
    assert (told[0]["file_key"], told[0]["size_bytes"]) == (REF.key, REF.size)
    assert columns - shown == {"event_seq"}
