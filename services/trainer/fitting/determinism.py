"""The one file of the loop that asks which backend Keras runs on."""

from __future__ import annotations

import os
from typing import Literal

import keras

XLA_FLAG = "--xla_gpu_deterministic_ops=true"
AMPERE = 8
"""First compute capability of NVIDIA that multiplies in bfloat16."""


def make_deterministic(seed: int, deterministic: bool = True) -> None:
    """Seed everything; and if ``deterministic``, choose operations that always add in the same order.

    The same seed then gives the same weights on one machine with one number of threads. Call it before
    the network is built.
    """
    keras.utils.set_random_seed(seed % 2**32)
    if not deterministic:
        return
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415 - only where it is the backend

        tf.config.experimental.enable_op_determinism()
    if XLA_FLAG not in os.environ.get("XLA_FLAGS", ""):
        # Read when the first step is compiled.
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {XLA_FLAG}".strip()


def always_compiled() -> bool:
    """Whether the backend knows no other way than XLA (JAX would run each operation by itself)."""
    return bool(keras.backend.backend() == "jax")


def steps_by_itself() -> bool:
    """Whether Keras' train function keeps all state itself (JAX has to be handed it, and hands it back)."""
    return bool(keras.backend.backend() != "jax")


def half_precision() -> Literal["bfloat16", "float16"]:
    """The half type that this machine multiplies in: float16 only on GPUs older than Ampere.

    bfloat16 has the range of float32, so that no gradient vanishes and no loss has to be scaled.
    """
    return "float16" if any(capability < AMPERE for capability in _gpu_capabilities()) else "bfloat16"


def _gpu_capabilities() -> list[int]:
    """Major compute capability of each NVIDIA GPU that the backend uses."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf  # noqa: PLC0415 - only where it is the backend

        details = [
            tf.config.experimental.get_device_details(gpu) for gpu in tf.config.list_physical_devices("GPU")
        ]
        return [int(detail.get("compute_capability", (AMPERE, 0))[0]) for detail in details]
    if keras.backend.backend() == "jax":
        import jax  # noqa: PLC0415 - only where it is the backend

        return [int(float(device.compute_capability)) for device in jax.devices() if device.platform == "gpu"]
    return []
