"""From the colours a file's profile (ICC) describes to sRGB."""

from __future__ import annotations

import functools
import io
import itertools

from PIL import Image, ImageChops, ImageCms

SPACES = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}
MAX_PROFILE_BYTES = 4 * 2**20
"""The press profiles with the finest tables are near 3 MB; a camera's has a few kilobytes."""
CACHED_TRANSFORMS = 8  # one camera's pictures tend to come together
SAME_LEVELS = 2  # of 255; two writers' sRGB profiles differ by rounding alone
PROBE_LEVELS = (0, 32, 96, 160, 224, 255)


def to_srgb(image: Image.Image, profile: object) -> Image.Image:
    """Colours of a loaded picture of mode L, RGB or CMYK as sRGB; an RGB picture is changed in place.

    A profile that is broken or belongs to another kind of picture is ignored: colours a shade
    off are no reason to lose the picture.
    """
    if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE_BYTES:
        transform = _transform(profile, image.mode)
        if transform is not None:
            if image.mode == "RGB":
                transform.apply_in_place(image)
                return image
            return transform.apply(image)
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.lru_cache(maxsize=CACHED_TRANSFORMS)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != SPACES[mode]:
            return None
        # Perceptual: what lies outside sRGB moves with its neighbours instead of turning flat.
        # A profile without tables of its own, as cameras write, gives relative colorimetric.
        transform = ImageCms.ImageCmsTransform(
            source, ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")), mode, "RGB",
            ImageCms.Intent.PERCEPTUAL,
        )  # fmt: skip
        return None if mode == "RGB" and _changes_nothing(transform) else transform
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - the parser raises whatever the profile leads it to
        return None


def _changes_nothing(transform: ImageCms.ImageCmsTransform) -> bool:
    """Most profiles are sRGB under one of its many names; by their effect they are told apart."""
    colours = bytes(itertools.chain.from_iterable(itertools.product(PROBE_LEVELS, repeat=3)))
    probe = Image.frombytes("RGB", (len(colours) // 3, 1), colours)
    apart = ImageChops.difference(probe, transform.apply(probe))
    return max(apart.tobytes()) <= SAME_LEVELS
