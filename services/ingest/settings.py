"""Settings of ingest."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

from pydantic import Field

from contracts.values import QualityFlag
from services.ingest.domain.picture import PictureRules
from services.ingest.domain.quality.flags import DEFAULT_LIMITS, QualityLimits
from services.runtime.settings import RuntimeSettings

MEBIBYTE = 2**20
Share = Annotated[float, Field(ge=0, le=1)]
Level = Annotated[float, Field(ge=0, le=255)]


class IngestSettings(RuntimeSettings):
    """What a library may decide for itself; the pixel settings stay fixed once it has images."""

    image_size_px: Annotated[int, Field(ge=8, le=2048)] = 299
    """Side of a normalised picture: what Inception-v4 reads (domain.md section 4)."""
    thumbnail_px: Annotated[int, Field(ge=16, le=512)] = 160
    max_pixels: Annotated[int, Field(ge=1)] = 64_000_000
    """Above every common phone's 48 and 50 megapixels; its RGBA pixels twice fit the decoder's memory."""

    max_request_files: Annotated[int, Field(ge=1)] = 64
    max_file_bytes: Annotated[int, Field(ge=1)] = 32 * MEBIBYTE
    max_request_bytes: Annotated[int, Field(ge=1)] = 64 * 32 * MEBIBYTE + 4 * MEBIBYTE
    """The files at their largest, and room for their metadata."""

    keep_originals: bool = True
    """False: the file as uploaded is removed from bucket incoming once the library has its image."""

    s3_public_endpoint: str | None = None
    """The object store as uploaders reach it, ``host:port`` or with ``https://``; None is s3_endpoint."""
    presigned_valid_s: Annotated[int, Field(ge=1, le=604_800)] = 900
    """How long a presigned URL takes a PUT; S3 allows a week."""
    presigned_kept_s: Annotated[int, Field(ge=0)] = 86_400
    """How long after that what was PUT may still be confirmed; then it is removed."""
    reconcile_interval_s: Annotated[float, Field(ge=0)] = 60.0
    """Pause between looks into bucket drop for what no notification told; 0 never looks."""

    blurry_above_smoothness: float = DEFAULT_LIMITS.blurry_above_smoothness
    """Quality flags, here and below: measures, and how the defaults were found, in docs/quality.md."""
    dark_below_level: Level = DEFAULT_LIMITS.dark_below_level
    over_exposed_above_share: Share = DEFAULT_LIMITS.over_exposed_above_share
    low_contrast_below_levels: Level = DEFAULT_LIMITS.low_contrast_below_levels
    near_uniform_below_levels: Level = DEFAULT_LIMITS.near_uniform_below_levels
    back_lit_above_share: Share = DEFAULT_LIMITS.back_lit_above_share
    tiny_above_enlargement: Annotated[float, Field(gt=0)] = DEFAULT_LIMITS.tiny_above_enlargement
    extreme_aspect_above_ratio: Annotated[float, Field(ge=1)] = DEFAULT_LIMITS.extreme_aspect_above_ratio
    bordered_above_share: Share = DEFAULT_LIMITS.bordered_above_share
    reject_flags: tuple[QualityFlag, ...] = ()
    """A picture with one of them is rejected; as JSON: ``["tiny", "near-uniform"]``."""

    decoder_processes: Annotated[int, Field(ge=1, le=64)] = 2
    decoder_memory_bytes: Annotated[int, Field(ge=256 * MEBIBYTE)] = 1536 * MEBIBYTE
    decoder_cpu_s: Annotated[int, Field(ge=1)] = 20
    """A 64-megapixel PNG takes 5 s; processor time does not grow when the machine is busy."""
    decoder_timeout_s: Annotated[float, Field(gt=0)] = 90.0

    object_threads: Annotated[int, Field(ge=1, le=64)] = 8
    """Past 8 the embedded S3 server gets no faster (research on object stores)."""
    shard_images: Annotated[int, Field(ge=1)] = 10_000
    """Lower end of the 10,000 to 20,000 of domain.md section 5."""
    shard_threads: Annotated[int, Field(ge=1, le=16)] = 2

    @property
    def picture_rules(self) -> PictureRules:
        """The decoder's part of the settings."""
        limits = {field.name: getattr(self, field.name) for field in fields(QualityLimits)}
        return PictureRules(
            self.image_size_px,
            self.thumbnail_px,
            self.max_pixels,
            quality=QualityLimits(**limits),
            reject_flags=self.reject_flags,
        )
