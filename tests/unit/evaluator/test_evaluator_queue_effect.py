"""What a round of double-checks changed, in words."""

from __future__ import annotations

from contracts.events import SetScore
from services.evaluator.domain.queue.effect import Effect, Scored

BEFORE = Scored("007", SetScore(name="test", images=812, accuracy=0.971, log_loss=0.1234))
AFTER = Scored("008", SetScore(name="test", images=790, accuracy=0.979))


def test_a_round_says_what_was_changed_and_what_the_next_model_does() -> None:
    effect = Effect(100, {"relabel": 40, "remove": 12, "keep": 26, "unsure": 2, "waiting": 20}, BEFORE, AFTER)
    assert (effect.checked, effect.changed) == (80, 52)
    first, second = effect.sentences()
    assert first == (
        "Of 100 images 80 were looked at: 40 got another label, 12 were removed, 26 kept their label, and of 2 "
        "nobody is sure; 52 were changed, 65 % of those looked at."
    )
    assert second == (
        "Model 007 was right on 97.1 % of its 812 test images with a log loss of 0.123; Model 008 was right on "
        "97.9 % of its 790 test images. The two test sets need not hold the same images."
    )


def test_a_round_that_nobody_began_and_a_model_without_a_test_set_say_so() -> None:
    effect = Effect(3, {"waiting": 3}, Scored("007", None), None)
    first, second = effect.sentences()
    assert first == (
        "Of 3 images 0 were looked at: 0 got another label, 0 were removed, 0 kept their label, and of 0 nobody is "
        "sure; 0 were changed."
    )
    assert second == (
        "Model 007 was not measured on a test set. No newer model has been scored since the last verdict; train "
        "one to see what the round gave."
    )
