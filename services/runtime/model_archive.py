"""Refuses a ``.keras`` archive that brings code, before Keras sees it. Standard library only.

Keras' ``safe_mode`` refuses Lambda layers too; this is the second lock, with an allow list: only
Keras' own classes, none that runs bytecode, unpickles or reads files by a path in its config.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MEMBERS = {"config.json", "metadata.json", "model.weights.h5"}
"""All that a model without layer assets (vocabularies and the like) consists of."""
CONFIG_LIMIT_BYTES = 64 * 2**20
"""Inception-v4's config has 0.6 MB; more than a hundred times that is no network of ours."""
REFUSED_CLASSES = {
    "Lambda": "runs bytecode",
    "TorchModuleWrapper": "unpickles",
    "TFSMLayer": "loads a graph from a path",
    "JaxLayer": "calls a function",
    "FlaxLayer": "calls a function",
    "StringLookup": "reads a file by path",
    "IntegerLookup": "reads a file by path",
    "TextVectorization": "reads a file by path",
}
PLAIN_VALUES = {
    "__keras_tensor__", "__tensor__", "__numpy__", "__array__", "__tuple__", "__bytes__", "__complex__",
    "__ellipsis__", "__slice__", "__typespec__",
}  # fmt: skip


class ModelRefused(Exception):
    """The archive is no model of ours; loading it could run somebody's code."""


def refuse_code(path: Path) -> None:
    """Inspect the archive at ``path``.

    Raises:
        ModelRefused: not a ``.keras`` archive, has further members, or its config names a class
            that is not Keras' own or can run code.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            extra = set(archive.namelist()) - MEMBERS
            if extra:
                raise ModelRefused(f"the model archive has more than {sorted(MEMBERS)}: {sorted(extra)[:5]}")
            size = archive.getinfo("config.json").file_size
            if size > CONFIG_LIMIT_BYTES:
                raise ModelRefused(f"the model's config.json has {size} bytes, over {CONFIG_LIMIT_BYTES}")
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, RuntimeError) as error:
        raise ModelRefused(f"the model is no readable .keras archive: {error!r}") from error
    if not isinstance(config, dict):
        raise ModelRefused("the model's config.json is no object")
    for node in _objects({key: value for key, value in config.items() if key != "compile_config"}):
        _refuse_class(node)


def _objects(root: Any) -> Iterator[dict[str, Any]]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if "class_name" in node:
                yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _refuse_class(node: dict[str, Any]) -> None:
    name, module = str(node["class_name"]), node.get("module")
    if name in REFUSED_CLASSES:
        raise ModelRefused(f"the model has a {name}, which {REFUSED_CLASSES[name]}; use plain layers")
    if module is None and name in PLAIN_VALUES:
        return
    if not isinstance(module, str) or not (module == "keras" or module.startswith("keras.")):
        raise ModelRefused(f"the model names {module}.{name}, which is not Keras' own; use Keras' layers")
    if ">" in str(node.get("registered_name") or ""):
        raise ModelRefused(f"the model needs registered code, {node['registered_name']!r}; use Keras' layers")
