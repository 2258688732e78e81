"""What a scan says: the same bytes for the same folder, whatever machine or cache it ran with."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from services.dedup.scan.folder import Files
from services.dedup.scan.grouping import Groups
from services.dedup.scan.matching import Order, Pair
from services.dedup.scan.reading import State
from services.dedup.scan.scanning import Readings

FORMAT = 1


class Reporter:
    """Names and facts of the pictures that the report is about."""

    def __init__(self, files: Files, made: Readings, order: Order) -> None:
        self._files = files
        self._made = made
        self._places = order.hashed.tolist()
        self._copies = order.copies

    def exact(self) -> list[dict[str, Any]]:
        """Files of equal bytes or equal pixels, with the one to keep."""
        digest = self._made.sha256
        rows = []
        for kept in sorted(kept for kept, others in self._copies.items() if others):
            others = [
                {
                    **self._file(number),
                    "same": "bytes" if (digest[number] == digest[kept]).all() else "pixels",
                }
                for number in sorted(self._copies[kept])
            ]
            rows.append({"keep": self._file(kept), "copies": others})
        return rows

    def near(self, groups: Groups) -> list[dict[str, Any]]:
        """Groups of pictures that look alike, with the one to keep."""
        rows = [
            {
                "keep": self._picture(place),
                "copies": [{**self._picture(pair.other), **_measured(pair)} for pair in members],
            }
            for place, members in groups.members.items()
        ]
        return sorted(rows, key=lambda row: str(row["keep"]["file"]))

    def pairs(self, pairs: Iterable[Pair]) -> list[dict[str, Any]]:
        """Pairs, the one to keep first."""
        rows = [
            {"keep": self._picture(pair.one), "other": self._picture(pair.other), **_measured(pair)}
            for pair in pairs
        ]
        return sorted(rows, key=lambda row: (row["distance_bits"], row["keep"]["file"], row["other"]["file"]))

    def unreadable(self) -> list[dict[str, Any]]:
        """Files and folders that could not be looked at, with the reason."""
        files = {self._files.names[number]: reason for number, reason in self._made.reasons.items()}
        return [
            {"file": os.fsdecode(name), "reason": reason}
            for name, reason in sorted((files | dict(self._files.refused)).items())
        ]

    def _picture(self, place: int) -> dict[str, Any]:
        return self._file(self._places[place])

    def _file(self, number: int) -> dict[str, Any]:
        return {
            "file": os.fsdecode(self._files.names[number]),
            "width_px": int(self._made.width[number]),
            "height_px": int(self._made.height[number]),
            "bytes": self._files.keys[number].size,
        }


def _measured(pair: Pair) -> dict[str, Any]:
    return {"distance_bits": pair.distance_bits, "orientation": pair.orientation.value}


def counts(files: Files, made: Readings) -> dict[str, int]:
    """How many of what there are."""
    of_state: dict[int, int] = defaultdict(int)
    for state in made.state.tolist():
        of_state[state] += 1
    return {
        "images": of_state[State.PICTURE] + of_state[State.FLAT],
        "flat": of_state[State.FLAT],
        "unreadable": of_state[State.UNREADABLE] + len(files.refused),
        "other_files": of_state[State.OTHER],
        "links": files.links,
    }
