"""Models that bulkid may use: exported ones, and those of throw-away runs, which never are."""

from __future__ import annotations

from contracts.events import ModelExported, ModelTrained


def as_if_exported(trained: ModelTrained) -> ModelExported:
    """A throw-away run's model, taken from its run's folder: in the place of the manifest stands its file.

    Raises:
        ValueError: it is of no throw-away run; its export comes when the gate says go.
    """
    if not trained.throw_away:
        raise ValueError(f"model {trained.model_version} is of no throw-away run")
    return ModelExported(
        request_id=trained.run_id,
        model_version=trained.model_version,
        snapshot_id=trained.snapshot_id,
        manifest=trained.model,
        model=trained.model,
        image_size_px=trained.image_size_px,
        classes=trained.classes,
        exported_at=trained.trained_at,
    )


def is_exported(model: ModelExported) -> bool:
    """Whether it stands in the models folder; a throw-away run's only identifies."""
    return model.manifest != model.model
