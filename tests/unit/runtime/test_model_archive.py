"""An archive that brings code never reaches Keras."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from services.runtime.model_archive import ModelRefused, refuse_code


def layer(
    name: str, module: str | None = "keras.layers", registered: str | None = None, **config: Any
) -> Any:
    return {"module": module, "class_name": name, "registered_name": registered, "config": config}


def network(*layers: Any) -> dict[str, Any]:
    return {
        "module": "keras.src.models.functional",
        "class_name": "Functional",
        "registered_name": "Functional",
        "config": {"layers": list(layers)},
    }


def archive(path: Path, config: Any, **members: bytes) -> Path:
    target = path / "model.keras"
    with zipfile.ZipFile(target, "w") as file:
        file.writestr("config.json", config if isinstance(config, (str, bytes)) else json.dumps(config))
        file.writestr("metadata.json", "{}")
        file.writestr("model.weights.h5", b"")
        for name, data in members.items():
            file.writestr(name, data)
    return target


def test_a_plain_network_passes(tmp_path: Path) -> None:
    kernel = {
        "module": "keras.initializers",
        "class_name": "GlorotUniform",
        "registered_name": None,
        "config": {},
    }
    refuse_code(archive(tmp_path, network(layer("Rescaling"), layer("Dense", kernel_initializer=kernel))))


def test_the_compile_config_does_not_count_because_it_is_never_loaded(tmp_path: Path) -> None:
    config = network(layer("Dense")) | {
        "compile_config": {"loss": layer("my_loss", "builtins", "mine>my_loss")}
    }
    refuse_code(archive(tmp_path, config))


@pytest.mark.parametrize(
    "node",
    [
        layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4wEAAA=="}}),
        {"class_name": "__lambda__", "config": {"code": "4wEAAA=="}},
        layer("TorchModuleWrapper"),
        layer("StringLookup", vocabulary="/etc/passwd"),
        layer("Mine", None, "package>Mine"),
        layer("Mine", "keras.layers", "package>Mine"),
        layer("Mine", "services.trainer"),
        layer("run", "subprocess"),
        layer("function", "builtins", "function"),
        layer("Dense", "kerasx.layers"),
        layer("Dense", ["keras.layers"]),  # type: ignore[arg-type]
        {"class_name": "Dense", "config": {}},
    ],
)
def test_code_and_strangers_are_refused_however_deep_they_lie(tmp_path: Path, node: Any) -> None:
    wrapped = layer("TimeDistributed", layer=layer("Sequential", "keras", None, layers=[[node]]))
    for config in (network(node), network(wrapped), {"deep": {"class": [node]}}):
        with pytest.raises(ModelRefused):
            refuse_code(archive(tmp_path, config))


@pytest.mark.parametrize("config", ["", "[1]", "no json", b"\xff\xfe\x00", "[" * 100_000])
def test_a_config_that_is_no_object_is_refused(tmp_path: Path, config: str | bytes) -> None:
    with pytest.raises(ModelRefused):
        refuse_code(archive(tmp_path, config))


def test_further_members_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="assets"):
        refuse_code(archive(tmp_path, network(), **{"assets/../../evil": b""}))


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 cut", b"\x89HDF\r\n\x1a\n"])
def test_what_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(data)
    with pytest.raises(ModelRefused):
        refuse_code(path)


def test_an_archive_without_a_config_is_refused(tmp_path: Path) -> None:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("metadata.json", "{}")
    path = tmp_path / "model.keras"
    path.write_bytes(held.getvalue())
    with pytest.raises(ModelRefused):
        refuse_code(path)
