"""Projection of what compressing a model gave."""

from __future__ import annotations

from contracts.events import ModelCompressed
from services.reporter.domain.changes import Change, Part, change

VARIANT = Part("variant", "fct_model_variants", ("model_version", "request_id", "variant_name"))


def model_compressed(event: ModelCompressed, seq: int) -> tuple[Change, ...]:
    """Every variant with its figures, by the request that it answers."""
    shared = {
        "measured_on": event.measured_on,
        "measured_images": event.test_images,
        "whole_accuracy": event.accuracy,
        "compressed_at": event.compressed_at,
    }
    return tuple(
        change(
            VARIANT,
            (event.model_version, event.request_id, variant.name),
            (seq,),
            {
                **variant.model_dump(exclude={"name", "file"}),
                **shared,
                "variant_position": position,
                "file_key": variant.file.key,
                "file_sha256": variant.file.sha256,
                "size_bytes": variant.file.size,
            },
        )
        for position, variant in enumerate(event.variants, 1)
    )
