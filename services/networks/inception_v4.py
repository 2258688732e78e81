"""Inception-v4 (Szegedy, Ioffe, Vanhoucke and Alemi 2016, arXiv 1602.07261), with random weights.

Maps at 299 px, by the paper's figures:

    pixels                              299 x 299 x    3
    stem, first three convolutions      147 x 147 x   64    figure 3
    stem, pooling beside convolution     73 x  73 x  160    figure 3
    stem, two ways of 3x3 and 7x7        71 x  71 x  192    figure 3
    stem, convolution beside pooling     35 x  35 x  384    figure 3
    4 x Inception-A                      35 x  35 x  384    figure 4
    Reduction-A                          17 x  17 x 1024    figure 7, k, l, m, n = 192, 224, 256, 384
    7 x Inception-B                      17 x  17 x 1024    figure 5
    Reduction-B                           8 x   8 x 1536    figure 8
    3 x Inception-C                       8 x   8 x 1536    figure 6
    mean, dropout 0.2, softmax                      1536    figure 9

Every convolution has no bias, and a batch norm with gain and ReLU after it: 42,679,816 weights train at 1,000
classes. Where the figures say "V" the padding is none, else "same". Sizes other than 299 px give smaller or
larger maps of the same depth; 75 px is the smallest, its last map is 1 x 1.
"""

from __future__ import annotations

import keras
from keras import layers

from services.networks.errors import NetworkRefused
from services.networks.names import FEATURES_LAYER
from services.networks.pixels import BATCH_NORM_MOMENTUM, pixels_of, scaled

SMALLEST_PX = 75
DROPOUT_SHARE = 0.2
"""The paper keeps 0.8."""

BATCH_NORM_EPSILON = 1e-3


def backbone(image_size_px: int) -> keras.Model:
    """Pixels [N, S, S, 3] to features [N, 1536].

    Raises:
        NetworkRefused: the size is below 75 px.
    """
    if image_size_px < SMALLEST_PX:
        raise NetworkRefused(
            f"inception_v4 takes pictures from {SMALLEST_PX} px on, not {image_size_px} px",
            "set options.network to small_cnn, or pack a snapshot of larger pictures",
        )
    pixels = pixels_of(image_size_px)
    x = _stem(scaled(pixels, 1 / 127.5, -1.0))
    for number in range(1, 5):
        x = _inception_a(x, f"a{number}")
    x = _reduction_a(x)
    for number in range(1, 8):
        x = _inception_b(x, f"b{number}")
    x = _reduction_b(x)
    for number in range(1, 4):
        x = _inception_c(x, f"c{number}")
    features = layers.GlobalAveragePooling2D(name=FEATURES_LAYER)(x)
    return keras.Model(pixels, features, name="inception_v4")


def _convolve(
    x: keras.KerasTensor,
    filters: int,
    kernel: int | tuple[int, int],
    name: str,
    stride: int = 1,
    padding: str = "same",
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, stride, padding=padding, use_bias=False, name=f"{name}_conv")(x)
    x = layers.BatchNormalization(
        momentum=BATCH_NORM_MOMENTUM, epsilon=BATCH_NORM_EPSILON, name=f"{name}_norm"
    )(x)
    return layers.Activation("relu", name=f"{name}_relu")(x)


def _halved(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    return layers.MaxPooling2D(3, 2, padding="valid", name=f"{name}_pool")(x)


def _joined(name: str, *branches: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Concatenate(name=name)(branches)


def _stem(x: keras.KerasTensor) -> keras.KerasTensor:
    """Figure 3: 299 x 299 x 3 to 35 x 35 x 384."""
    x = _convolve(x, 32, 3, "stem1", 2, "valid")
    x = _convolve(x, 32, 3, "stem2", 1, "valid")
    x = _convolve(x, 64, 3, "stem3")
    x = _joined("stem4", _halved(x, "stem4"), _convolve(x, 96, 3, "stem4", 2, "valid"))
    short = _convolve(_convolve(x, 64, 1, "stem5_short1"), 96, 3, "stem5_short2", 1, "valid")
    long = _convolve(x, 64, 1, "stem5_long1")
    long = _convolve(long, 64, (7, 1), "stem5_long2")
    long = _convolve(long, 64, (1, 7), "stem5_long3")
    long = _convolve(long, 96, 3, "stem5_long4", 1, "valid")
    x = _joined("stem5", short, long)
    return _joined("stem6", _convolve(x, 192, 3, "stem6", 2, "valid"), _halved(x, "stem6"))


def _pooled(x: keras.KerasTensor, filters: int, name: str) -> keras.KerasTensor:
    """The mean of 3 x 3 places, padding not counted, and a 1x1 convolution."""
    x = layers.AveragePooling2D(3, 1, padding="same", name=f"{name}_mean")(x)
    return _convolve(x, filters, 1, f"{name}_pooled")


def _inception_a(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Figure 4: 35 x 35 x 384 to the same."""
    middle = _convolve(_convolve(x, 64, 1, f"{name}_middle1"), 96, 3, f"{name}_middle2")
    deep = _convolve(x, 64, 1, f"{name}_deep1")
    deep = _convolve(_convolve(deep, 96, 3, f"{name}_deep2"), 96, 3, f"{name}_deep3")
    return _joined(name, _pooled(x, 96, name), _convolve(x, 96, 1, f"{name}_plain"), middle, deep)


def _reduction_a(x: keras.KerasTensor) -> keras.KerasTensor:
    """Figure 7 with k, l, m, n = 192, 224, 256, 384: 35 x 35 x 384 to 17 x 17 x 1024."""
    deep = _convolve(_convolve(x, 192, 1, "ra_deep1"), 224, 3, "ra_deep2")
    deep = _convolve(deep, 256, 3, "ra_deep3", 2, "valid")
    return _joined("ra", _halved(x, "ra"), _convolve(x, 384, 3, "ra_plain", 2, "valid"), deep)


def _inception_b(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Figure 5: 17 x 17 x 1024 to the same."""
    middle = _convolve(x, 192, 1, f"{name}_middle1")
    middle = _convolve(middle, 224, (1, 7), f"{name}_middle2")
    middle = _convolve(middle, 256, (7, 1), f"{name}_middle3")
    deep = _convolve(x, 192, 1, f"{name}_deep1")
    deep = _convolve(deep, 192, (1, 7), f"{name}_deep2")
    deep = _convolve(deep, 224, (7, 1), f"{name}_deep3")
    deep = _convolve(deep, 224, (1, 7), f"{name}_deep4")
    deep = _convolve(deep, 256, (7, 1), f"{name}_deep5")
    return _joined(name, _pooled(x, 128, name), _convolve(x, 384, 1, f"{name}_plain"), middle, deep)


def _reduction_b(x: keras.KerasTensor) -> keras.KerasTensor:
    """Figure 8: 17 x 17 x 1024 to 8 x 8 x 1536."""
    plain = _convolve(_convolve(x, 192, 1, "rb_plain1"), 192, 3, "rb_plain2", 2, "valid")
    deep = _convolve(x, 256, 1, "rb_deep1")
    deep = _convolve(_convolve(deep, 256, (1, 7), "rb_deep2"), 320, (7, 1), "rb_deep3")
    return _joined("rb", _halved(x, "rb"), plain, _convolve(deep, 320, 3, "rb_deep4", 2, "valid"))


def _inception_c(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Figure 6: 8 x 8 x 1536 to the same."""
    middle = _convolve(x, 384, 1, f"{name}_middle1")
    deep = _convolve(x, 384, 1, f"{name}_deep1")
    deep = _convolve(_convolve(deep, 448, (1, 3), f"{name}_deep2"), 512, (3, 1), f"{name}_deep3")
    return _joined(
        name,
        _pooled(x, 256, name),
        _convolve(x, 256, 1, f"{name}_plain"),
        _convolve(middle, 256, (1, 3), f"{name}_middle2a"),
        _convolve(middle, 256, (3, 1), f"{name}_middle2b"),
        _convolve(deep, 256, (3, 1), f"{name}_deep4a"),
        _convolve(deep, 256, (1, 3), f"{name}_deep4b"),
    )
