"""Writing what a service gave into a file that the user named."""

from __future__ import annotations

from pathlib import Path


def save(file: Path, content: bytes, make_folder: bool = False) -> None:
    """Write ``content``, in place of what was there.

    Raises:
        OpsError: it cannot be written there.
    """
    from services.ops.clients.errors import OpsError

    try:
        if make_folder:
            file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    except OSError as error:
        raise OpsError(f"{file} cannot be written ({error.strerror}): choose another place") from error
