"""What to tell whoever is about to train while look-alike pairs wait for a person.

No data set can know of them: a pair that nobody decided is two images that may land on two sides.
"""

from __future__ import annotations

from services.ops.clients.reads import Reporter


async def undecided_pairs(reporter: Reporter) -> str | None:
    """The remark, None when no pair waits."""
    images = (await reporter.summary()).get("images") or {}
    return remark(int(images.get("pairs_in_review") or 0))


def remark(pairs: int) -> str | None:
    """A sentence on so many pairs in review."""
    if not pairs:
        return None
    waiting = "1 look-alike pair waits" if pairs == 1 else f"{pairs:,} look-alike pairs wait"
    return (
        f"{waiting} for review: until then one of a pair may be trained on and the other tested on; "
        "`menagerie dedup pairs` shows them"
    )
