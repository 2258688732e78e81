"""The reader of torch's old files: arrays as they were saved, and nothing else comes out of a pickle."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.networks import lite0_weights as weights
from services.networks.lite0_weights import MAGIC, VERSION, WeightsRefused, pretrained_weights, read_weights

pytestmark = pytest.mark.models

HEAD = b"".join(pickle.dumps(value, 2) for value in (MAGIC, VERSION, {"little_endian": True}))


def tensor(
    key: str = "1",
    shape: str = "K\x02K\x02\x86",
    strides: str = "K\x02K\x01\x86",
    offset: str = "K\x00",
    storage: str = "ctorch\nFloatStorage\n",
) -> bytes:
    """A pickled tensor as torch writes it; ``shape`` and ``strides`` are opcodes."""
    name = key.encode()
    pid = b"(X\x07\0\0\0storage" + storage.encode() + b"X" + len(name).to_bytes(4, "little") + name
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + pid + b"X\x03\0\0\0cpuK\x06NtQ"
        + b"".join(part.encode("latin-1") for part in (offset, shape, strides))
        + b"\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def state(*tensors: bytes) -> bytes:
    items = b"".join(b"X\x01\0\0\0" + bytes([97 + number]) + one for number, one in enumerate(tensors))
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def storages(**values: Any) -> bytes:
    bodies = (len(one).to_bytes(8, "little") + one.tobytes() for one in values.values())
    return pickle.dumps([key.removeprefix("s") for key in values], 2) + b"".join(bodies)


def read(data: bytes) -> dict[str, Any]:
    return read_weights(data, hashlib.sha256(data).hexdigest())


SIX = np.arange(6, dtype="<f4")


def test_a_tensor_is_what_its_offset_shape_and_strides_say() -> None:
    turned = tensor(shape="K\x02K\x03\x86", strides="K\x01K\x02\x86")
    part = tensor(shape="K\x02\x85", strides="K\x01\x85", offset="K\x04")
    count = tensor("2", shape=")", strides=")", storage="ctorch\nLongStorage\n")
    found = read(HEAD + state(turned, part, count) + storages(s1=SIX, s2=np.array([7], "<i8")))
    assert found["a"].tolist() == [[0, 2, 4], [1, 3, 5]]
    assert found["b"].tolist() == [4, 5]
    assert found["c"].shape == ()
    assert (found["c"] == 7, found["c"].dtype, found["a"].dtype) == (True, np.int64, np.float32)


def test_another_file_is_refused_by_its_digest_before_it_is_read(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    evil = pickle.dumps(_Touch(marker), 2)
    with pytest.raises(WeightsRefused, match=r"has SHA-256 [0-9a-f]{64}, pinned is 0{64}; install"):
        read_weights(evil, "0" * 64)
    assert not marker.exists()


class _Touch:
    """Whose pickle makes a file when it is loaded."""

    def __init__(self, path: Path, function: Callable[..., Any] = open) -> None:
        self._call = (function, (str(path), "w"))

    def __reduce__(self) -> Any:
        return self._call


def hostile(path: Path) -> dict[str, bytes]:
    """Pickles by what they try; each would make the file at ``path``."""
    import os

    name = str(path).encode()
    text = b"X" + len(name).to_bytes(4, "little") + name
    touch = pickle.dumps(_Touch(path), 2)
    system = b"cos\nsystem\n(X" + (6 + len(name)).to_bytes(4, "little") + b"touch " + name + b"tR."
    return {
        "a function by REDUCE": touch,
        "a function by name": pickle.dumps(_Touch(path, os.mkdir), 2),
        "the shell": b"\x80\x02" + system,
        "the old INST": b"(" + text + b"ios\nmkdir\n.",
        "the old OBJ": b"(cos\nmkdir\n" + text + b"o.",
        "a class by NEWOBJ": b"\x80\x02cpathlib\nPath\n" + text + b"\x85\x81.",
        "a name from the stack": b"\x80\x04\x8c\x02os\x8c\x05mkdir\x93" + text + b"\x85R.",
        "an attribute of what is allowed": b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.",
        "another of torch's functions": b"ctorch\nload\n(" + text + b"tR.",
        "an import that runs code": b"cantigravity\nfly\n.",
        "an extension": b"\x80\x02\x82\x01.",
        "a change of the reader": b"ctorch._utils\n_rebuild_tensor_v2\nN}X\x08\0\0\0__call__K\x01s\x86b.",
    }


@pytest.mark.parametrize("attempt", sorted(hostile(Path("/nowhere"))))
@pytest.mark.parametrize("place", ["first", "in the state", "as a value"])
def test_a_hostile_pickle_is_refused_and_runs_nothing(attempt: str, place: str, tmp_path: Path) -> None:
    target = tmp_path / "ran"
    evil = hostile(target)[attempt]
    bare = (evil[2:] if evil.startswith(b"\x80") else evil).removesuffix(b".")
    data = {
        "first": evil,
        "in the state": HEAD + evil,
        "as a value": HEAD
        + b"\x80\x04ccollections\nOrderedDict\n)R(X\x01\0\0\0a"
        + bare
        + b"u."
        + storages(s1=SIX),
    }[place]
    with pytest.raises(WeightsRefused):
        read(data)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (HEAD + state(tensor(shape="K\x07\x85", strides="K\x01\x85")) + storages(s1=SIX), "outside its storage of 6"),
        (HEAD + state(tensor(offset="K\x03")) + storages(s1=SIX), "outside its storage of 6"),
        (HEAD + state(tensor(shape="K\x07\x85", strides="K\x00\x85")) + storages(s1=SIX), "outside its storage of 6"),
        (HEAD + state(tensor(strides="J\xff\xff\xff\xffK\x01\x86")) + storages(s1=SIX), "the number -1"),
        (HEAD + state(tensor(shape="X\x01\0\0\0a")) + storages(s1=SIX), "the shape 'a'"),
        (HEAD + state(tensor(storage="ccollections\nOrderedDict\n")) + storages(s1=SIX), "which is no storage"),
        (HEAD + state(b"K\x01") + storages(s1=SIX), "something other than tensors"),
        (HEAD + pickle.dumps([1], 2) + storages(s1=SIX), "something other than tensors"),
        (HEAD + state(tensor()) + storages(s2=SIX), "cannot be read: KeyError"),
        (HEAD + state(tensor()) + storages(s1=SIX)[:-1], "cannot be read"),
        (HEAD + state(tensor())[:-9], "cannot be read"),
        (pickle.dumps(MAGIC, 2) + pickle.dumps(1002, 2) + pickle.dumps({}, 2), "not as torch's do"),
        (b"", "cannot be read: EOFError"),
        (b"PK\x03\x04", "cannot be read: UnpicklingError"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_refused_in_one_sentence(data: bytes, said: str) -> None:
    with pytest.raises(WeightsRefused, match=said):
        read(data)


def test_the_installed_package_is_the_one_that_was_looked_at() -> None:
    found = pretrained_weights()
    assert len(found) == 296
    assert found["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert found["_conv_stem.weight"].sum() == pytest.approx(-26.811375, abs=1e-4)
    assert all(array.flags.c_contiguous for array in found.values())


def test_a_package_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "PACKAGE", "no-such-package-of-weights")
    with pytest.raises(WeightsRefused, match="no-such-package-of-weights is not installed whole"):
        pretrained_weights()
