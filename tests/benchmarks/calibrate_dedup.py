"""What dedup finds of altered real photos, and what it takes for copies that are none; writes docs/duplicates.md.

``python -m tests.benchmarks.calibrate_dedup --photos FOLDER`` alters every photo in all ways of
tests/support/altered_pictures.py, normalises it as ingest does, and asks the service's own rule about it. A
file ``labels.csv`` beside the folder (columns file, guest) splits the photos by guest into a half on which
limits can be chosen and one they are reported on; without it the file name splits. Ten minutes for 1,079
photos on two cores; ``--every N`` takes each Nth photo.

``--vectors tests.support.backbone_vectors:pretrained`` makes the table with similarity vectors instead, a
second for each photo and core: that function takes a list of RGB pictures as they stand in the letterbox and
gives an array (n, d) of unit vectors. Another encoder can be named in its place.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from services.dedup.domain.alike import Likeness, Limits
from tests.support import measured_digits
from tests.support.altered_pictures import Family
from tests.support.measured_duplicates import (
    NAMES,
    ORIGINAL,
    STRANGERS,
    Found,
    Library,
    Stranger,
    copies,
    hash64_pairs,
    read_library,
    strangers,
)

REPORT = Path(__file__).resolve().parents[2] / "docs" / "duplicates.md"
VECTOR_LIMIT = 0.84
SIZES = (1_000, 100_000, 1_000_000)

Detectors = dict[str, Callable[[Found], bool]]

DETECTORS: Detectors = {
    "64 bits <= 8": lambda found: found.hash64_bits <= 8,
    "64 bits <= 10": lambda found: found.hash64_bits <= 10,
    "256 bits <= 72": lambda found: found.upright_bits <= 72,
    "<= 80": lambda found: found.upright_bits <= 80,
    "any orientation <= 88": lambda found: found.nearest_bits <= 88,
    "closer look": lambda found: found.agreed >= Limits().review_agreement,
    "**automatic**": lambda found: found.like is Likeness.AUTOMATIC,
    "**found**": lambda found: found.like is not Likeness.NONE,
}
WITH_VECTORS: Detectors = {
    "vectors": lambda found: found.similarity >= VECTOR_LIMIT,
    "**found or vectors**": lambda found: found.like is not Likeness.NONE or found.similarity >= VECTOR_LIMIT,
}


def recall(library: Library, limits: Limits) -> Iterator[str]:
    """Per alteration and per family, and of the half by guest that nothing was chosen on."""
    held_out = library.held_out()
    detectors = DETECTORS | (WITH_VECTORS if library.similarity[0] else {})
    heads = [*detectors, "found, held-out half"]
    yield "| altered | " + " | ".join(heads) + " |"
    yield "|---|" + "---|" * len(heads)
    for family in Family:
        rows = [
            (name, copies(library, number, limits)) for number, (f, name) in enumerate(NAMES) if f is family
        ]
        for name, found in rows:
            yield _recall_row(name, [found], detectors, held_out)
        if len(rows) > 1:
            yield _recall_row(
                f"**all of: {family.value}**", [found for _, found in rows], detectors, held_out
            )


def _recall_row(
    name: str, rows: Sequence[Sequence[Found]], detectors: Detectors, held_out: NDArray[np.bool_]
) -> str:
    every = [one for row in rows for one in row]
    out = [one for row in rows for one, held in zip(row, held_out, strict=True) if held]
    shares = [float(np.mean([says(one) for one in every])) for says in detectors.values()]
    shares.append(float(np.mean([one.like is not Likeness.NONE for one in out])) if out else 0.0)
    return f"| {name} | " + " | ".join(f"{share * 100:.1f}" for share in shares) + " |"


def false_pairs(library: Library, met: Sequence[Stranger]) -> Iterator[str]:
    """Counted over all pairs of different photos, and over all photos beside others' altered copies."""
    photos = len(library.files)
    own, altered = photos * (photos - 1) // 2, photos * (photos - 1) * len(STRANGERS)
    yield f"| | {own:,} pairs of untouched photos | per 100,000 | {altered:,} with an altered one | per 100,000 |"
    yield "|---|---|---|---|---|"
    untouched = [one for one in met if one.altered == ORIGINAL]
    others = [one for one in met if one.altered != ORIGINAL]
    for bits in (8, 10):
        count = hash64_pairs(library, bits)
        yield f"| 64 bits <= {bits} | {count} | {count / own * 1e5:.2f} | | |"
    rules = {
        "256 bits <= 72": lambda one: one.upright_bits <= 72,
        "<= 80": lambda one: one.upright_bits <= 80,
        "any orientation <= 88": lambda one: one.nearest_bits <= 88,
        "**automatic**": lambda one: one.like is Likeness.AUTOMATIC,
        "**review**": lambda one: one.like is Likeness.REVIEW,
    }
    for name, rule in rules.items():
        one, other = sum(map(rule, untouched)), sum(map(rule, others))
        yield f"| {name} | {one} | {one / own * 1e5:.2f} | {other} | {other / altered * 1e5:.3f} |"
    review = sum(one.like is Likeness.REVIEW for one in untouched)
    yield ""
    yield f"Review load of the untouched photos: {review} pairs, {review / photos * 1000:.1f} per 1,000 photos."


def alike_photos(library: Library, met: Sequence[Stranger]) -> Iterator[str]:
    """What the rule says of different photos, one by one."""
    yield "| photos | guest | bits | agreement | said |"
    yield "|---|---|---|---|---|"
    for one in sorted(met, key=lambda pair: -pair.agreed):
        if one.altered == ORIGINAL and one.like is not Likeness.NONE:
            names = " ".join(library.files[at].split("-")[0] for at in (one.one, one.other))
            same = "the same" if library.guests[one.one] == library.guests[one.other] else "others"
            yield f"| {names} | {same} | {one.nearest_bits} | {one.agreed:.2f} | {one.like} |"


def chosen(library: Library, met: Sequence[Stranger], limits: Limits) -> Iterator[str]:
    """The agreements that the half for choosing would give, and what they do on the other."""
    held_out = library.held_out()
    halves = {"chosen on": ~held_out, "held out": held_out}
    worst = {}
    for name, half in halves.items():
        inside = [m for m in met if half[m.one] and half[m.other] and not m.low_detail]
        near = [m for m in inside if m.nearest_bits <= limits.search_bits]
        strange = [m.agreed for m in near if library.guests[m.one] != library.guests[m.other]]
        worst[name] = (len(near), max(strange, default=0.0), max((m.agreed for m in near), default=0.0))
    yield "| half of the photos | candidates | highest agreement, two guests | any two photos |"
    yield "|---|---|---|---|"
    for name, (count, strange_, any_) in worst.items():
        yield f"| {name} ({int(halves[name].sum())}) | {count} | {strange_:.2f} | {any_:.2f} |"


def candidates(library: Library, met: Sequence[Stranger]) -> Iterator[str]:
    """Pictures that share nothing but a near hash, which a query has to look at."""
    photos = len(library.files)
    pairs = photos * (photos - 1) / 2
    yield "| bits | " + " | ".join(f"{size:,} photos" for size in SIZES) + " |"
    yield "|---|" + "---|" * len(SIZES)
    for bits in (72, 80, 84, 88, 92, 96, 100):
        near = sum(m.altered == ORIGINAL and m.nearest_bits <= bits for m in met)
        yield f"| {bits} | " + " | ".join(f"{near / pairs * size:.3g}" for size in SIZES) + " |"


def sections(library: Library, limits: Limits) -> dict[str, list[str]]:
    """Markdown by the name of its markers."""
    met = list(strangers(library, limits))
    return {
        "recall": list(recall(library, limits)),
        "false pairs": list(false_pairs(library, met)),
        "alike photos": list(alike_photos(library, met)),
        "halves": list(chosen(library, met, limits)),
        "candidates": list(candidates(library, met)),
    }


def written(text: str, name: str, lines: Sequence[str]) -> str:
    """The document with what stands between the markers of ``name`` replaced.

    Raises:
        ValueError: the document has no such markers.
    """
    start, end = f"<!-- {name}: written by calibrate_dedup -->\n", f"<!-- end of {name} -->"
    if start not in text or end not in text:
        raise ValueError(
            f"{REPORT} lacks the lines {start.strip()} and {end}: put them where the table belongs"
        )
    before, _, rest = text.partition(start)
    return before + start + "\n".join(lines) + "\n" + end + rest.partition(end)[2]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--vectors", metavar="MODULE:FUNCTION")
    parser.add_argument("--every", type=int, default=1, metavar="N")
    parser.add_argument("--digits", action="store_true", help="the table of line art too (a minute)")
    parser.add_argument("--print-only", action="store_true", help="leave docs/duplicates.md as it is")
    asked = parser.parse_args()
    limits = Limits()
    library = read_library(asked.photos, asked.every, os.cpu_count() or 1, asked.vectors)
    if asked.vectors:  # hours of a small network for all photos: this table may stand on fewer
        made = {"recall with vectors": [*recall(library, limits), "", f"Of {len(library.files)} photos."]}
    else:
        made = sections(library, limits)
    if asked.digits:
        made["line art"] = list(measured_digits.table(limits))
    text = REPORT.read_text()
    for name, lines in made.items():
        print(f"\n## {name}\n", *lines, sep="\n")
        text = written(text, name, lines)
    if not asked.print_only:
        REPORT.write_text(text)


if __name__ == "__main__":
    main()
