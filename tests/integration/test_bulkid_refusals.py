"""Bulk identification loads what the event names, and nothing that brings code."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.bulkid.job import identify
from services.runtime.model_archive import ModelRefused
from services.runtime.objectstore import ObjectDamaged, ObjectStore
from tests.support.colour_library import COLOURS, SIZE_PX, ColourLibrary
from tests.support.colour_model import colour_model
from tests.support.servers import S3Server
from tests.support.tampered_model import with_lambda

pytestmark = pytest.mark.integration


@pytest.fixture
def object_store(weed: S3Server) -> ObjectStore:
    return weed.store()


def test_a_model_with_a_lambda_layer_is_refused_before_keras_sees_it(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    bad = with_lambda(colour_model(SIZE_PX, len(COLOURS)))
    exported = ColourLibrary(object_store, "refused-lambda").exported("001", bad)
    with pytest.raises(ModelRefused, match="the model has a Lambda, which runs bytecode"):
        identify(object_store, exported, [{}], tmp_path, lambda told: None)


def test_a_model_whose_bytes_changed_since_its_export_is_refused(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    exported = ColourLibrary(object_store, "refused-bytes").exported("001")
    object_store.put(exported.model.bucket, exported.model.key, b"other bytes")
    with pytest.raises(ObjectDamaged, match="holds 11 bytes"):
        identify(object_store, exported, [{}], tmp_path, lambda told: None)
