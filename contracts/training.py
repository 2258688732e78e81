"""What a train request asks for: data set rules, options of a fit, spaces of a search, compression."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from contracts.values import Value


class DatasetRules(Value):
    """Numbers of domain.md section 2; a throw-away run lowers some."""

    minimum_per_class: Annotated[int, Field(ge=1)] = 40
    maximum_per_class: Annotated[int, Field(ge=1)] = 125
    staged_cap: Annotated[int, Field(ge=0)] = 60
    train_share: Annotated[float, Field(gt=0, le=1)] = 0.9
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.1


class LearningRates(Value):
    """Which layers learn, and how fast; shares are of ``TrainOptions.learning_rate``."""

    backbone: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Rate of all layers but the output layer; 0 freezes them."""
    frozen_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the backbone's layers with weights, from the input on, that do not learn at all."""
    layers: Annotated[dict[str, Annotated[float, Field(ge=0, le=10)]], Field(max_length=200)] = {}
    """Rates of layers by the beginning of their names, the longest that fits; before the two above."""
    head_epochs: Annotated[int, Field(ge=0, le=1000)] = 0
    """So many epochs at first in which the output layer learns alone, at its full rate."""
    freeze_batch_norm: bool = False
    """Batch norms keep the base's averages: batches of few photos have worse ones."""


class TrainOptions(Value):
    """How to fit; the defaults suit a small library on a CPU."""

    network: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")] = "small_cnn"
    """``small_cnn``, ``inception_v4``, ``efficientnet_lite0``, or a network of keras.applications."""
    weights: Literal["random", "imagenet"] = "random"
    """What a run without a base starts from."""
    epochs: Annotated[int, Field(ge=1, le=1000)] = 30
    batch_size: Annotated[int, Field(ge=1, le=4096)] = 50
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 1e-3
    rates: LearningRates = LearningRates()
    keep_output_rows: bool = False
    """Classes that the base knows keep their row of the output layer; the others' are random."""
    optimizer: Literal["adam", "adamw", "sgd"] = "adam"
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Of ``adamw`` and ``sgd``; decoupled from the gradient."""
    l1: Annotated[float, Field(ge=0, le=1)] = 0.0
    l2: Annotated[float, Field(ge=0, le=1)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the features dropped before the output layer; None leaves it to the network."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced`` counts an image of a small class for more, so that all classes count the same."""
    patience_epochs: Annotated[int, Field(ge=0)] = 0
    """Stop after so many epochs without a better validation accuracy; 0 never stops early."""
    flip: bool = True
    rotate_degrees: Annotated[float, Field(ge=0, le=45)] = 8.0
    zoom_share: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """Slight zoom in and out; a picture that fills little of its frame is only zoomed in."""
    shift_share: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Largest shift as a share of the image's side."""
    schedule: Literal["constant", "cosine", "plateau"] = "constant"
    """``cosine`` warms up over a tenth of the run, then falls to a hundredth of the learning rate;
    ``plateau`` takes a fifth of the rate after ``plateau_epochs`` without a better validation loss."""
    plateau_epochs: Annotated[int, Field(ge=1)] = 3
    mixed_precision: bool = False
    """Computes in bfloat16 or float16, as the device can; weights and scores stay float32."""
    xla: bool = False
    """Compiles the step by XLA: a slower start, then a faster step on many devices."""
    deterministic: bool = True
    """The same request gives the same weights on the same machine, killed and resumed or not."""
    seed: int = 7


class Span(Value):
    """A range of numbers to search in."""

    low: FiniteFloat
    high: FiniteFloat
    log: bool = False
    """Search by orders of magnitude; ``low`` must be above 0."""
    step: Annotated[FiniteFloat, Field(gt=0)] | None = None
    """Only ``low``, ``low`` + ``step`` ...: grids and whole numbers need it."""

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.high < self.low:
            raise ValueError("high must not be below low")
        if self.log and self.low <= 0:
            raise ValueError("a log range must begin above 0")
        return self


Choices = Annotated[tuple[bool | int | float | str, ...], Field(min_length=1, max_length=50)]


class CompressionOptions(Value):
    """Which smaller variants of a model to make; each is measured against the whole one."""

    float16: bool = True
    int8: bool = True
    """Full-integer LiteRT, calibrated on training images."""
    dynamic_range: bool = True
    prune_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the weights set to 0, the smallest first, step by step while fine-tuning; 0 prunes nothing."""
    prune_epochs: Annotated[int, Field(ge=1, le=100)] = 3
