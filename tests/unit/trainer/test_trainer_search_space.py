"""What a search may try: checked before any trial, with an error that says what to correct."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.training import TrainOptions
from services.trainer.domain.errors import TrainingError
from services.trainer.search.space import (
    Axis,
    axes_of,
    options_to_search,
    point,
    shuffled,
    size_of,
    trials_at_most,
    with_values,
)
from tests.support.searching import search_request


def axes(space: dict[str, Any], **fields: Any) -> tuple[Axis, ...]:
    return axes_of(search_request(space=space, **fields))


def one(asked: Any, name: str = "learning_rate", **fields: Any) -> Axis:
    (axis,) = axes({name: asked}, **fields)
    return axis


def refusal(space: dict[str, Any], **fields: Any) -> str:
    with pytest.raises(TrainingError) as refused:
        axes(space, **fields)
    return str(refused.value)


def test_every_single_valued_option_can_be_searched_and_no_other() -> None:
    known = options_to_search()
    assert set(known) - {name for name in known if name.startswith("rates.")} == set(
        TrainOptions.model_fields
    ) - {"rates"}
    assert "rates.layers" not in known
    assert (known["network"], known["flip"], known["epochs"], known["dropout"], known["rates.backbone"]) == (
        str, bool, int, float, float,
    )  # fmt: skip


def test_listed_values_are_kept_in_their_order_and_type() -> None:
    assert one([64, 16], "batch_size").values == (64, 16)
    assert one([0, 0.5], "dropout").values == (0.0, 0.5)
    assert one([True, False], "flip").values == (True, False)
    assert one(["adam", "sgd"], "optimizer").values == ("adam", "sgd")


def test_a_stepped_range_has_tidy_values_and_ends_on_a_step() -> None:
    axis = one({"low": 0, "high": 0.55, "step": 0.1}, "dropout")
    assert [axis.at(place) for place in range(axis.size or 0)] == [0, 0.1, 0.2, 0.3, 0.4, 0.5]


def test_whole_numbers_step_by_one_unless_told_otherwise() -> None:
    assert one({"low": 2, "high": 4}, "epochs").size == 3
    axis = one({"low": 16, "high": 64, "step": 16}, "batch_size")
    values = [axis.at(place) for place in range(4)]
    assert values == [16, 32, 48, 64]
    assert all(type(value) is int for value in values)


def test_a_range_of_numbers_has_no_end() -> None:
    assert one({"low": 1e-13, "high": 1e-2, "log": True}).size is None
    assert one({"low": 1e-13, "high": 1e-2, "log": True}).low == 1e-13
    assert one({"low": 0.01, "high": 0.01}).size == 1


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"learning_rat": [0.1]}, "there is no option 'learning_rat'"),
        ({"rates.layers": [0.1]}, "there is no option 'rates.layers'"),
        ({"batch_size": ["many"]}, "batch_size takes whole numbers"),
        ({"batch_size": [True]}, "batch_size takes whole numbers"),
        ({"batch_size": [16.5]}, "batch_size takes whole numbers"),
        ({"flip": [1]}, "flip takes true or false"),
        ({"optimizer": {"low": 1, "high": 2}}, "list the values of optimizer"),
        ({"flip": {"low": 0, "high": 1}}, "list the values of flip"),
        ({"optimizer": ["adam", "adamax"]}, "optimizer = 'adamax' cannot be trained with"),
        ({"learning_rate": {"low": 0.1, "high": 2}}, "learning_rate = 2.0 cannot be trained with"),
        ({"rates.backbone": [0.5, 3]}, "rates.backbone = 3.0 cannot be trained with"),
        ({"epochs": {"low": 1.5, "high": 3}}, "low = 1.5, and epochs takes whole numbers"),
        ({"epochs": {"low": 1, "high": 3, "step": 0.5}}, "step = 0.5, and epochs takes whole numbers"),
        ({"learning_rate": {"low": 0.1, "high": 0.2, "log": True, "step": 0.1}}, "both log and a step"),
        ({"batch_size": [16, 32, 16]}, "space.batch_size lists 16 twice"),
    ],
)
def test_a_space_that_cannot_be_trained_is_refused_with_the_place(space: dict[str, Any], says: str) -> None:
    assert says in refusal(space)


def test_a_grid_needs_an_end() -> None:
    said = refusal({"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}}, method="grid")
    assert "range without end" in said
    assert "give it a step" in said


def test_trials_without_a_validation_side_cannot_be_compared() -> None:
    assert "validation_share" in refusal(
        {"flip": [True]}, rules={"train_share": 1.0, "validation_share": 0.0}
    )


def test_values_go_into_the_options_of_a_trial() -> None:
    made = with_values(TrainOptions(epochs=3), {"batch_size": 16, "rates.backbone": 0.1, "dropout": 0.5})
    assert (made.epochs, made.batch_size, made.rates.backbone, made.dropout) == (3, 16, 0.1, 0.5)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    seed=st.integers(-(2**31), 2**31),
    most=st.integers(1, 700),
)
def test_a_grid_has_every_point_once_in_an_order_that_the_seed_decides(
    sizes: list[int], seed: int, most: int
) -> None:
    listed = [Axis(f"option{place}", values=tuple(range(size))) for place, size in enumerate(sizes)]
    total = size_of(listed)
    assert total is not None
    chosen = shuffled(listed, seed, most)
    assert chosen == shuffled(listed, seed, most)
    assert len(chosen) == min(most, total)
    assert len({tuple(one.items()) for one in chosen}) == len(chosen)
    assert all(list(one) == [axis.name for axis in listed] for one in chosen)


def test_a_vast_grid_is_cut_short_without_being_built() -> None:
    vast = [Axis(f"option{place}", values=tuple(range(50))) for place in range(20)]
    assert size_of(vast) == 50**20
    assert point(vast, 50**20 - 1) == {axis.name: 49 for axis in vast}
    assert len(shuffled(vast, 1, 1000)) == 1000


def test_a_small_space_ends_before_the_trials_asked_for() -> None:
    request = search_request(space={"flip": [True, False], "batch_size": [16, 32]}, trials=20)
    assert trials_at_most(request, axes_of(request)) == 4
    assert trials_at_most(search_request(trials=20), axes_of(search_request())) == 20
