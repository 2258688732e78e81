"""What the rule for line art does to 5,000 real handwritten digits and planted copies of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image

from services.dedup.domain.alike import Likeness, Limits, likeness
from services.dedup.domain.fingerprint import ORIENTATIONS, Fingerprint, of_grey
from services.dedup.domain.turning import as_turned, turned_distances
from services.dedup.index import HashIndex
from services.ingest.domain.letterbox import fit
from services.ops.demo.digits import SIDE_PX, read_digits

EVERY = 5
"""Of so many digits one is copied."""


def _jpeg(digit: Image.Image) -> Image.Image:
    sink = io.BytesIO()
    digit.save(sink, "JPEG", quality=70)
    return Image.open(sink)


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "twice the size": lambda digit: digit.resize((SIDE_PX * 2, SIDE_PX * 2), Image.Resampling.LANCZOS),
    "0.7 of the size": lambda digit: digit.resize((20, 20), Image.Resampling.LANCZOS),
    "JPEG 70": _jpeg,
}


def table(limits: Limits, sides: Sequence[int] = (SIDE_PX, 299), every: int = 1) -> Iterator[str]:
    """Markdown; ``sides`` are those of the library's pictures, ``every`` thins out the digits."""
    pixels, _ = read_digits()
    pictures = [Image.fromarray(one) for one in pixels[::every]]
    yield (
        "| side of the library | pictures with a false duplicate | false pairs for review | "
        + " | ".join(f"found: {name}" for name in COPIES)
        + " |"
    )
    yield "|---|---|---|" + "---|" * len(COPIES)
    for side in sides:
        made = [_print(picture, side) for picture in pictures]
        automatic, review = false_pairs(made, limits)
        shares = [found_copies(made, pictures, side, alter, limits) for alter in COPIES.values()]
        wrong = len({later for _, later in automatic})
        cells = [f"{side} px", f"{wrong} of {len(made)} ({wrong / len(made):.2%})", str(len(review))]
        yield "| " + " | ".join(cells + [f"{share:.1%}" for share in shares]) + " |"


def false_pairs(made: list[Fingerprint], limits: Limits) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Pairs of different pictures that are called duplicates, and those for a person, earlier one first."""
    turned = as_turned([one.turned or b"" for one in made])
    reach = max(limits.reach_bits(one) for one in made)
    index = HashIndex(256, reach)
    index.extend(np.arange(len(made)), np.ascontiguousarray(turned[:, 0]))
    hits = index.near(turned.reshape(-1, 32), reach)
    pairs = {
        (int(position), int(query) // 8) for query, position in zip(hits.query, hits.position, strict=True)
    }
    automatic, review = set(), set()
    for one, other in sorted((one, other) for one, other in pairs if one < other):
        bits = turned_distances(turned[one : one + 1], turned[other : other + 1])[0]
        said = {
            likeness(made[one], made[other], int(bits[place]), ORIENTATIONS[place], limits)
            for place in np.flatnonzero(bits <= reach).tolist()
        }
        if Likeness.AUTOMATIC in said:
            automatic.add((one, other))
        elif Likeness.REVIEW in said:
            review.add((one, other))
    return automatic, review


def found_copies(
    made: list[Fingerprint],
    pictures: list[Image.Image],
    side: int,
    alter: Callable[[Image.Image], Image.Image],
    limits: Limits,
) -> float:
    """Share of altered copies that are duplicates without asking."""
    found = []
    for one, picture in list(zip(made, pictures, strict=True))[::EVERY]:
        copy = _print(alter(picture), side)
        bits = turned_distances(as_turned([one.turned or b""]), as_turned([copy.turned or b""]))[0]
        like = likeness(one, copy, int(bits[0]), ORIENTATIONS[0], limits)
        found.append(like is Likeness.AUTOMATIC)
    return float(np.mean(found))


def _print(picture: Image.Image, side: int) -> Fingerprint:
    rgb = picture.convert("RGB")
    size = fit(*rgb.size, side)
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    return of_grey(rgb.convert("L"))
