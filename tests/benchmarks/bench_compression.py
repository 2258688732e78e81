"""What each way of making a model smaller saves and costs, on 5,000 real digits.

    python -m tests.benchmarks.bench_compression [--shares 0.5 0.7 0.9]

small_cnn, 3,000 digits to train on, 2,000 to measure on; LiteRT on one thread, one picture at a time,
variants timed in turn. Beside what `menagerie compress` offers: Keras' own int8, pruning in one
stroke without fine-tuning, and pruning followed by int8.
"""

from __future__ import annotations

import argparse
import gzip
import tempfile
import time
from pathlib import Path
from statistics import median

import keras
import numpy as np

from contracts.training import TrainOptions
from services.networks import archive
from services.networks.build import build
from services.ops.demo.digits import read_digits
from services.trainer.fitting.feeding import InMemory
from services.trainer.fitting.measuring import accuracy_of, agreement_of, measure, whole_scores
from services.trainer.fitting.pruning import prunable_kernels, prune
from services.trainer.fitting.variants import CALIBRATION_IMAGES, Kind, to_litert

OPTIONS = TrainOptions(batch_size=50, learning_rate=3e-3, flip=False, shift_share=0.05, epochs=12)
KINDS: tuple[Kind, ...] = ("litert", "float16", "dynamic-range", "int8")
TRAINED_ON = 3000
PRUNE_EPOCHS = 3


def sides() -> tuple[InMemory, InMemory]:
    pixels, names = read_digits()
    order = np.random.default_rng(0).permutation(len(names))
    images = np.repeat(pixels[..., None], 3, axis=3)[order]
    classes = np.array([int(name) for name in names], np.int64)[order]
    return (
        InMemory(images[:TRAINED_ON], classes[:TRAINED_ON]),
        InMemory(images[TRAINED_ON:], classes[TRAINED_ON:]),
    )


def trained(train: InMemory) -> keras.Model:
    keras.utils.set_random_seed(7)
    model = build("small_cnn", train.images.shape[1], 10)
    steps = len(train) // OPTIONS.batch_size * OPTIONS.epochs
    rate = keras.optimizers.schedules.CosineDecay(OPTIONS.learning_rate, steps)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    model.fit(train.images, train.classes, batch_size=OPTIONS.batch_size, epochs=OPTIONS.epochs, verbose=0)
    return model


def pruned_files(path: Path, train: InMemory, shares: list[float]) -> dict[str, bytes]:
    files = {}
    for share in shares:
        keras.utils.set_random_seed(7)
        model = archive.load(path)
        prune(model, train, OPTIONS, share, PRUNE_EPOCHS)
        files[f"pruned {share:g}"] = to_litert(model, "litert")
        files[f"pruned {share:g}, int8"] = to_litert(model, "int8", train.images[:CALIBRATION_IMAGES])
        at_once = archive.load(path)
        for kernel in prunable_kernels(at_once):
            values = keras.ops.convert_to_numpy(kernel)
            kernel.assign(values * (np.abs(values) > np.quantile(np.abs(values), share)))
        files[f"pruned {share:g} in one stroke"] = to_litert(at_once, "litert")
    return files


def keras_int8(path: Path, test: InMemory, whole: np.ndarray) -> str:
    model, smaller = archive.load(path), archive.load(path)
    smaller.quantize("int8")
    scores = whole_scores(smaller, test)
    images = test.images[:250]
    spent: dict[str, list[float]] = {"whole": [], "int8": []}
    for _ in range(9):
        for name, one in (("whole", model), ("int8", smaller)):
            started = time.perf_counter()
            one.predict_on_batch(images)
            spent[name].append(time.perf_counter() - started)
    sizes = []
    for name, one in (("whole", model), ("int8", smaller)):
        place = path.with_name(f"{name}.keras")
        one.save(place)
        sizes.append(place.stat().st_size)
    return (
        f'| Keras `quantize("int8")` (against Keras) | {sizes[1] / sizes[0]:.2f} | - | '
        f"{accuracy_of(scores, test.classes):.4f} | {agreement_of(scores, whole):.4f} | "
        f"{median(spent['whole']) / median(spent['int8']):.2f} x |"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shares", type=float, nargs="*", default=[0.5, 0.7, 0.9])
    shares = parser.parse_args().shares
    train, test = sides()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        archive.save(trained(train), path)
        model = archive.load(path)
        files = {kind: to_litert(model, kind, train.images[:CALIBRATION_IMAGES]) for kind in KINDS}
        files |= pruned_files(path, train, shares)
        whole = whole_scores(model, test)
        measured = measure(files, test, threads=1)
        print(
            f"whole: {accuracy_of(whole, test.classes):.4f} of {len(test)}; {len(files['litert'])} bytes LiteRT\n"
        )
        print("| variant | size | gzip | accuracy | same answer | speed |\n|---|---|---|---|---|---|")
        for name, one in measured.items():
            size = len(files["litert"])
            print(
                f"| {name} | {len(files[name]) / size:.2f} | {len(gzip.compress(files[name], 6)) / size:.2f} | "
                f"{accuracy_of(one.scores, test.classes):.4f} | {agreement_of(one.scores, whole):.4f} | "
                f"{one.images_per_s / measured['litert'].images_per_s:.2f} x |"
            )
        print(keras_int8(path, test, whole))


if __name__ == "__main__":
    main()
