"""Which images of a snapshot are identified."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

R = TypeVar("R", bound=Mapping[str, Any])


def unlabelled(rows: Iterable[R]) -> list[R]:
    """Rows without a label, in their order.

    Near duplicates are in: each must get its label too. Benchmark images are out: they are
    picked by hand. An image labelled "Unknown Bird" has been looked at and is out.
    """
    return [row for row in rows if row["label"] is None and row["benchmark"] is None]
