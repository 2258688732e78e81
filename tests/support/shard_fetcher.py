"""A process that fetches shards, prints the bytes of each read, and may wait to be killed half-way.

Usage: python -m tests.support.shard_fetcher FOLDER READS < rows as JSON lines
With READS above 0 it stops after so many reads and waits; a settings environment names the store.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from contracts.manifests import DatasetRow
from services.runtime.settings import RuntimeSettings
from services.trainer.fitting.feeding.limits import FeedingLimits
from services.trainer.fitting.feeding.local_shards import LocalShards
from services.trainer.fitting.feeding.places import places_of
from tests.support.fed_shards import CountedStore


def main(folder: Path, reads: int) -> None:
    """Fetch all, then tell that it did."""
    rows = [DatasetRow.model_validate_json(line) for line in sys.stdin]
    store = CountedStore(RuntimeSettings())

    def told(_here: int, _wanted: int) -> None:
        if reads and len(store.read_bytes) >= reads:
            print(f"waits {sum(store.read_bytes)}", flush=True)
            signal.pause()

    with LocalShards(store, folder, FeedingLimits(fetch_threads=1)) as shards:
        shards.fetch(places_of(rows), told)
    print(f"fetched {sum(store.read_bytes)}", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
