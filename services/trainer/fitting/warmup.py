"""Requests that TensorFlow Serving plays to a model before it says that it is ready.

A TFRecord of ``PredictionLog`` messages, as tensorflow_serving/apis/prediction_log.proto of
TensorFlow Serving 2.x defines them. The package tensorflow-serving-api has the same classes, and
pins the whole TensorFlow for them; the four messages needed are described here instead, with
TensorFlow's own TensorProto inside.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from numpy.typing import NDArray
from PIL import Image
from tensorflow.core.framework import tensor_pb2

PLACE = Path("assets.extra") / "tf_serving_warmup_requests"
SERVABLE = "menagerie"
"""A request names a model; a server that warms up goes by the signature alone."""
PACKAGE = "tensorflow.serving"
MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "ModelSpec": {"name": (1, "string"), "signature_name": (3, "string")},
    "PredictRequest": {"model_spec": (1, "ModelSpec"), "inputs": (2, "map<string, TensorProto>")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
}
"""Message -> field -> (number, kind), of those fields that are written."""
Fields = descriptor_pb2.FieldDescriptorProto


def write_warmup(saved_model: Path, image_size_px: int) -> Path:
    """Write one request for each signature of ``write_saved_model``; returns the file."""
    place = saved_model / PLACE
    place.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(place)) as file:
        for signature, name, value in _requests(image_size_px):
            file.write(_log_of(signature, name, value).SerializeToString())
    return place


def _requests(size: int) -> list[tuple[str, str, NDArray[Any]]]:
    grey = np.full((1, size, size, 3), 128, np.uint8)
    png = io.BytesIO()
    Image.fromarray(grey[0]).save(png, "png")
    return [
        ("serving_default", "image", grey),
        ("serving_float", "image", grey.astype(np.float32)),
        ("serving_bytes", "image_bytes", np.array([png.getvalue()], np.object_)),
    ]


def _log_of(signature: str, name: str, value: NDArray[Any]) -> Any:
    log = messages()["PredictionLog"]()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = SERVABLE, signature
    request.inputs[name].ParseFromString(tf.make_tensor_proto(value).SerializeToString())
    return log


@cache
def messages() -> dict[str, Any]:
    """Classes of the messages, in a pool of their own: a process may have the real ones too."""
    pool = descriptor_pool.DescriptorPool()
    _add_file(pool, tensor_pb2.DESCRIPTOR, set())
    file = descriptor_pb2.FileDescriptorProto(
        name="menagerie/prediction_log.proto",
        package=PACKAGE,
        syntax="proto3",
        dependency=[tensor_pb2.DESCRIPTOR.name],
    )
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
        for name in MESSAGES
    }


def _add_file(pool: Any, file: Any, known: set[str]) -> None:
    if file.name in known:
        return
    known.add(file.name)
    for needed in file.dependencies:
        _add_file(pool, needed, known)
    pool.AddSerializedFile(file.serialized_pb)


def _add_field(message: Any, name: str, number: int, kind: str) -> None:
    if kind == "string":
        message.field.add(name=name, number=number, type=Fields.TYPE_STRING, label=Fields.LABEL_OPTIONAL)
    elif kind.startswith("map<"):
        # A map is a list of messages of key and value, and is written as one.
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        entry.field.add(name="key", number=1, type=Fields.TYPE_STRING, label=Fields.LABEL_OPTIONAL)
        entry.field.add(
            name="value", number=2, type=Fields.TYPE_MESSAGE, label=Fields.LABEL_OPTIONAL,
            type_name=".tensorflow.TensorProto",
        )  # fmt: skip
        message.field.add(
            name=name, number=number, type=Fields.TYPE_MESSAGE, label=Fields.LABEL_REPEATED,
            type_name=f".{PACKAGE}.{message.name}.{entry.name}",
        )  # fmt: skip
    else:
        message.field.add(
            name=name, number=number, type=Fields.TYPE_MESSAGE, label=Fields.LABEL_OPTIONAL,
            type_name=f".{PACKAGE}.{kind}",
        )  # fmt: skip
