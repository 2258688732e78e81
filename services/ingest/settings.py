"""Settings of ingest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from services.ingest.domain.picture import PictureRules
from services.runtime.settings import RuntimeSettings

MEBIBYTE = 2**20


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
        return PictureRules(self.image_size_px, self.thumbnail_px, self.max_pixels)
