"""Every option of a fit does what it says; each expectation here fails when its option is ignored."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from contracts.manifests import Epoch
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting import compiling
from services.trainer.fitting.compiling import Trained
from services.trainer.fitting.determinism import make_deterministic
from services.trainer.fitting.feeding import InMemory
from services.trainer.fitting.loop import StepReport, fit
from services.trainer.fitting.schedules import learning_rate
from services.trainer.fitting.scoring import predict
from tests.support.tiny_training import asked, colours, nothing, tiny

pytestmark = pytest.mark.models


def by_path(model: keras.Model) -> dict[str, Any]:
    return {variable.path: np.array(variable.numpy()) for variable in model.weights}


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    return {path for path in before if not np.array_equal(before[path], after[path])}


def in_training(model: keras.Model, **options: Any) -> Trained:
    trained = Trained(model.inputs, model.outputs)
    trained.compile_for(asked(**options), head_alone=False)
    return trained


def test_the_loss_smooths_labels_weighs_classes_and_adds_the_penalty() -> None:
    examples = colours(18)
    few = examples.classes.copy()
    few[examples.classes == 2] = np.where(np.arange(6) < 2, 2, 0)
    train, model = InMemory(examples.images, few), tiny(dropout=0.0, l1=0.001, l2=0.01)
    before, scores = by_path(model), predict(model, train).astype(np.float64)
    done = fit(
        model, train, nothing(),
        asked(
            epochs=1, batch_size=18, label_smoothing=0.2, class_weights="balanced",
            rates={"freeze_batch_norm": True},
        ),
    )  # fmt: skip
    true = np.eye(3)[few] * 0.8 + 0.2 / 3
    weights = 18 / (3 * np.bincount(few))
    penalty = sum(
        0.001 * np.abs(value).sum() + 0.01 * (value**2).sum()
        for path, value in before.items()
        if path.endswith("kernel")
    )
    loss = (-(true * np.log(scores)).sum(axis=1) * weights[few]).mean() + penalty
    assert done.epochs[0].loss == pytest.approx(loss, rel=1e-5)
    assert done.epochs[0].accuracy == pytest.approx((scores.argmax(axis=1) == few).mean())
    assert changed(before, by_path(model)) == {path for path in before if "norm" not in path}


def test_the_output_layer_learns_alone_at_first_and_frozen_layers_never_do() -> None:
    model, seen = tiny(), []
    before = by_path(model)
    rates = {"head_epochs": 1, "layers": {"one": 0.0}}

    def on_epoch(epoch: Epoch) -> None:
        seen.append(by_path(model))

    fit(model, colours(16), nothing(), asked(epochs=2, rates=rates), on_epoch=on_epoch)
    assert changed(before, seen[0]) == {"scores/kernel", "scores/bias"}
    assert changed(seen[0], seen[1]) == {path for path in before if not path.startswith("one")}
    assert all(layer.trainable for layer in model.layers)


def test_what_is_frozen_has_neither_gradient_nor_optimizer_state() -> None:
    trained = in_training(tiny(), rates={"backbone": 0.0})
    assert [variable.path for variable in trained.trainable_variables] == ["scores/kernel", "scores/bias"]
    assert len(trained.optimizer.variables) == 2 + 2 * 2
    trained.compile_for(asked(), head_alone=False)
    assert len(trained.trainable_variables) == 8


def test_a_run_in_which_nothing_would_learn_is_refused_with_a_remedy() -> None:
    with pytest.raises(TrainingError, match=r"no layer would learn .*; raise options.rates.backbone"):
        in_training(tiny(), rates={"backbone": 0.0, "layers": {"scores": 0.0}})


def test_each_step_has_the_rate_of_its_schedule() -> None:
    options, rates = asked(epochs=2, schedule="cosine", learning_rate=0.01), []

    def on_step(report: StepReport) -> None:
        rates.append(float(report._model.optimizer.learning_rate.numpy()))

    done = fit(tiny(), colours(48), nothing(), options, on_step=on_step)
    expected = [learning_rate(options, epoch, step, 6, ()) for epoch in (1, 2) for step in range(6)]
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    assert [epoch.learning_rate for epoch in done.epochs] == [expected[5], expected[11]]


def test_half_precision_is_for_training_alone_and_weights_and_scores_stay_whole() -> None:
    model, seen = tiny(dropout=0.0), []

    def on_epoch(epoch: Epoch) -> None:
        seen.append({layer.name: layer.compute_dtype for layer in model.layers})

    done = fit(
        model, colours(48), colours(12, seed=1), asked(epochs=6, mixed_precision=True, learning_rate=0.03),
        on_epoch=on_epoch,
    )  # fmt: skip
    assert {seen[0][name] for name in ("one_conv", "one_norm", "two_relu", "features")} == {"bfloat16"}
    assert {seen[0][name] for name in ("rescale", "scores")} == {"float32"}
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert {str(variable.dtype) for variable in model.weights} == {"float32"}
    assert done.epochs[-1].loss < 0.6 * done.epochs[0].loss


def test_float16_scales_its_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    # No machine of the tests has a GPU that knows no bfloat16.
    monkeypatch.setattr(compiling, "half_precision", lambda: "float16")
    model, options, examples = tiny(), asked(mixed_precision=True), colours(8)
    with compiling.precision(model, options):
        assert model.get_layer("one_conv").compute_dtype == "float16"
        trained = in_training(model, mixed_precision=True)
        assert isinstance(trained.optimizer, keras.optimizers.LossScaleOptimizer)
        before = by_path(model)
        trained.optimizer.learning_rate = 0.25
        trained.take_step(examples.images, examples.classes, None)
        assert trained.optimizer.inner_optimizer.learning_rate.numpy() == 0.25
        assert np.isfinite(float(trained.running[0].result()))
    assert "one_conv/kernel" in changed(before, by_path(model))


def test_xla_compiles_the_step() -> None:
    examples = colours(8)
    plain, compiled = (in_training(tiny(dropout=0.0), xla=xla) for xla in (False, True))
    assert (plain.jit_compile, compiled.jit_compile) == (False, True)
    for trained in (plain, compiled):
        trained.take_step(examples.images, examples.classes, None)
    assert float(compiled.running[0].result()) == pytest.approx(float(plain.running[0].result()), rel=1e-5)


@pytest.mark.parametrize("deterministic", [True, False])
def test_operations_are_deterministic_when_asked(
    deterministic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    # The real one cannot be taken back, and other tests of this process have called it.
    called: list[bool] = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: called.append(True))
    make_deterministic(3, deterministic)
    assert called == [True] * deterministic
