"""``GET /api/v1/datasets/...``: what the data set of a model holds, and why an image is where it is."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field

from contracts.training import DatasetRules
from contracts.values import ImageId
from services.trainer.domain.explaining import Explainer
from services.trainer.domain.rules import NOT_THERE
from services.trainer.domain.summary import summarise
from services.trainer.http.opening import NEWEST, Opened, Opener, Wanted

IMAGES_MOST = 1000
Version = Annotated[str, Path(pattern=r"^(newest|[0-9]{3,9})$")]
Images = Annotated[list[ImageId], Field(min_length=1, max_length=IMAGES_MOST)]
DEFAULTS = DatasetRules()


class ImagesQuery(BaseModel):
    """Images to explain; a misspelt parameter is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")

    image_id: Images


class RunQuery(BaseModel):
    """The numbers of a train request (contracts/commands.py, RequestTraining)."""

    model_config = ConfigDict(extra="forbid")

    base: Annotated[str, Field(pattern=r"^(newest|scratch|[0-9]{3,9})$")] = NEWEST
    snapshot_id: Annotated[str, Field(pattern=r"^[^\x00]+$")] | None = None
    """PostgreSQL's text knows no NUL."""
    taxonomy_version: Annotated[int, Field(ge=0)] | None = None
    minimum_per_class: Annotated[int, Field(ge=1)] = DEFAULTS.minimum_per_class
    maximum_per_class: Annotated[int, Field(ge=1)] = DEFAULTS.maximum_per_class
    staged_cap: Annotated[int, Field(ge=0)] = DEFAULTS.staged_cap
    train_share: Annotated[float, Field(gt=0, le=1)] = DEFAULTS.train_share
    validation_share: Annotated[float, Field(ge=0, lt=1)] = DEFAULTS.validation_share

    def wanted(self) -> Wanted:
        """The run."""
        rules = DatasetRules.model_validate(self.model_dump())
        return Wanted(rules, self.base, self.snapshot_id, self.taxonomy_version)


class RunImagesQuery(RunQuery):
    """The same, and images to explain."""

    image_id: Images


def router(opener: Opener) -> APIRouter:
    """Reading only; a preview stores nothing either."""
    routes = APIRouter(prefix="/api/v1/datasets")

    @routes.get("/preview")
    async def preview(query: Annotated[RunQuery, Query()]) -> dict[str, Any]:
        return await opener.of_run(query.wanted(), _summary)

    @routes.get("/preview/images")
    async def preview_images(query: Annotated[RunImagesQuery, Query()]) -> dict[str, Any]:
        return await opener.of_run(query.wanted(), partial(_explained, query.image_id))

    @routes.get("/{version}")
    async def of_model(version: Version) -> dict[str, Any]:
        return await opener.of_model(version, _summary)

    @routes.get("/{version}/images")
    async def images(version: Version, query: Annotated[ImagesQuery, Query()]) -> dict[str, Any]:
        return await opener.of_model(version, partial(_explained, query.image_id))

    return routes


def _summary(opened: Opened) -> dict[str, Any]:
    told = summarise(opened.dataset, opened.snapshot, opened.plan.rules)
    return _about(opened) | told.model_dump(mode="json")


def _explained(images: list[ImageId], opened: Opened) -> dict[str, Any]:
    explainer = Explainer(opened.dataset, opened.snapshot, opened.plan.rules, opened.ancestors)
    found = [(image, explainer.explain(image)) for image in dict.fromkeys(images)]
    return _about(opened) | {
        "images": [
            {"image_id": image, "side": None, "rule": None, "why": _absence(opened)}
            if one is None
            else asdict(one)
            for image, one in found
        ]
    }


def _about(opened: Opened) -> dict[str, Any]:
    plan = opened.plan
    return {
        "model_version": None if plan.model is None else plan.model.model_version,
        "snapshot_id": plan.packed.snapshot_id,
        "packed_at": plan.packed.model_dump(mode="json")["packed_at"],
        "taxonomy_version": plan.packed.taxonomy_version
        if plan.taxonomy_version is None
        else plan.taxonomy_version,
        "ancestors": [model.model_version for model in plan.line],
    }


def _absence(opened: Opened) -> str:
    packed = opened.plan.packed
    return NOT_THERE.format(
        snapshot=packed.snapshot_id, packed_at=f"{packed.packed_at:%Y-%m-%d %H:%M}", images=packed.images
    )
