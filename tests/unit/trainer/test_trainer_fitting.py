"""The training loop on colours: what must hold for any network and any data."""

from __future__ import annotations

import numpy as np
import pytest

from contracts.manifests import Epoch
from services.trainer.domain.errors import TrainingError
from services.trainer.fitting.loop import Cancelled, StepReport, fit
from services.trainer.fitting.scoring import batch_size, predict, score
from tests.support.tiny_training import PLAIN, asked, colours, nothing, same, tiny

pytestmark = pytest.mark.models


def test_the_loop_learns_a_tiny_set_and_keeps_the_weights_of_the_epoch_it_names() -> None:
    train, validation, told = colours(48), colours(24, seed=1), list[Epoch]()
    steps: list[StepReport] = []
    model = tiny(dropout=0.0)
    options = asked(epochs=8, learning_rate=0.03)
    done = fit(model, train, validation, options, on_epoch=told.append, on_step=steps.append)
    assert tuple(told) == done.epochs
    assert score(model, train)[1] == 1.0
    kept = done.epochs[done.best_epoch - 1]
    assert score(model, validation) == pytest.approx((kept.val_loss, kept.val_accuracy))
    assert [(report.epoch, report.step) for report in steps] == [
        (epoch, step) for epoch in range(1, 9) for step in range(1, 7)
    ]
    for epoch in done.epochs:
        assert epoch.learning_rate == 0.03
        assert epoch.images_per_s is not None
        assert 48 / epoch.seconds < epoch.images_per_s
        assert epoch.data_wait_share is not None
        assert 0 <= epoch.data_wait_share <= 1


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    def weights(seed: int) -> list[np.ndarray]:
        model = tiny(seed)
        fit(model, colours(24), colours(12, seed=1), asked(epochs=2, rotate_degrees=10.0, seed=seed))
        return list(model.get_weights())

    first, again, other = weights(3), weights(3), weights(4)
    assert same(first, again)
    assert not np.array_equal(first[0], other[0])


def test_training_stops_when_it_gets_no_better_and_without_a_validation_side_the_loss_decides() -> None:
    still = asked(learning_rate=1e-9, epochs=20, patience_epochs=2)
    assert len(fit(tiny(), colours(24), colours(12, seed=1), still).epochs) < 20
    done = fit(tiny(), colours(24), nothing(), PLAIN)
    assert done.epochs[0].val_accuracy is None
    assert done.best_epoch == min(done.epochs, key=lambda epoch: epoch.loss).epoch


def test_a_loss_that_is_no_number_ends_the_run_with_a_remedy() -> None:
    model = tiny()
    model.get_layer("scores").set_weights([np.full((8, 3), np.nan), np.zeros(3)])
    with pytest.raises(TrainingError, match=r"loss became nan in epoch 1; lower options.learning_rate"):
        fit(model, colours(24), colours(12), PLAIN)


def test_a_cancelled_run_stops_within_a_step_and_also_between_batches_that_are_scored() -> None:
    steps: list[int] = []

    def on_step(report: StepReport) -> None:
        steps.append(report.step)

    with pytest.raises(Cancelled):
        fit(tiny(), colours(64), nothing(), PLAIN, on_step=on_step, cancelled=lambda: len(steps) >= 3)
    assert steps == [1, 2, 3]
    with pytest.raises(Cancelled):
        fit(
            tiny(),
            colours(16),
            colours(3),
            asked(epochs=1),
            on_step=on_step,
            cancelled=lambda: len(steps) >= 5,
        )
    assert steps == [1, 2, 3, 1, 2]


def test_batches_to_be_scored_are_of_one_size_and_few_of_their_images_are_padding() -> None:
    assert batch_size(36, 28) == 36
    assert batch_size(251, 28) == 126
    assert batch_size(10_000, 28) == 250
    assert batch_size(100, 299) == 34
    assert batch_size(3, 5000) == 1


def test_scores_are_those_of_the_network_however_many_images_there_are() -> None:
    model, examples = tiny(), colours(5)
    np.testing.assert_allclose(predict(model, examples), np.asarray(model(examples.images)), atol=1e-6)
    assert predict(model, nothing()).shape == (0, 3)
