"""Which exceptions of a child are the store's, and which mean that memory ran out."""

from __future__ import annotations

from minio.error import MinioException
from urllib3.exceptions import HTTPError

from services.runtime.objectstore import ObjectDamaged, ObjectMissing

STORE_FAULTS = (ObjectMissing, ObjectDamaged, MinioException, HTTPError, ConnectionError)
"""Worth another try: the store was away, or has not got the object yet."""

# Backends bring their own exceptions; naming them here keeps this file free of any backend.
_MEMORY_ERRORS = {"MemoryError", "_ArrayMemoryError", "ResourceExhaustedError", "OutOfMemoryError"}
_MEMORY_WORDS = ("RESOURCE_EXHAUSTED", "(-4:Insufficient memory)")
"""Of XLA, and of OpenCV, which calls all its exceptions ``error``."""


def out_of_memory(error: BaseException) -> bool:
    """Whether the machine or the device had no memory left."""
    said = str(error)
    return type(error).__name__ in _MEMORY_ERRORS or any(words in said for words in _MEMORY_WORDS)
