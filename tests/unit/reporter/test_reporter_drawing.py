"""Layout of the flow diagram and of the training curves."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from services.reporter.domain.curves import LABEL_ROOM, Curve, plot
from services.reporter.domain.figures import bar_shares, run_title
from services.reporter.domain.flow import HEIGHT, LEAST, FlowCounts, lay_out

some = st.integers(0, 2_000_000)


@given(accepted=some, repeated=some, rejected=some, waiting=some, data=st.data())
def test_the_diagram_stays_inside_its_box_and_hides_nothing(
    accepted: int, repeated: int, rejected: int, waiting: int, data: st.DataObject
) -> None:
    near = data.draw(st.integers(0, accepted))
    burst = data.draw(st.integers(0, accepted - near))
    labelled = data.draw(st.integers(0, accepted - near - burst))
    library = {
        ("near", True): near,
        ("burst", True): burst,
        ("unique", True): labelled,
        ("unique", False): accepted - near - burst - labelled,
    }
    counts = FlowCounts(accepted, repeated, rejected, waiting, library)
    flow = lay_out(counts)
    for node in flow.nodes:
        assert node.height >= LEAST
        assert node.y + max(node.height, 43) <= HEIGHT  # two lines of caption
    for one, other in zip(flow.nodes, flow.nodes[1:], strict=False):
        if one.x == other.x:  # names have two lines, and none lies on another
            assert other.y - one.y >= 40
    shown = {node.key: node.count for node in flow.nodes}
    assert shown["uploaded"] == accepted + repeated + rejected + waiting
    assert shown["labelled"] + shown["unlabelled"] == shown["accepted"]


def test_one_image_of_a_million_can_be_seen() -> None:
    flow = lay_out(FlowCounts(1_000_000, 0, 1, 0, {("unique", True): 1_000_000}))
    assert next(node for node in flow.nodes if node.key == "rejected").height == LEAST
    assert any(band.key == "rejected" for band in flow.bands)


def test_an_empty_library_has_stages_and_no_bands() -> None:
    flow = lay_out(FlowCounts(0, 0, 0, 0, {}))
    assert flow.bands == ()
    assert {node.key for node in flow.nodes} >= {"uploaded", "accepted", "labelled"}


@given(st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=40), min_size=1, max_size=4))
def test_curves_stay_inside_the_chart_and_captions_apart(values: list[list[float]]) -> None:
    curves = [Curve(str(n), "run", "", tuple(enumerate(points, 1))) for n, points in enumerate(values)]
    chart = plot(curves)
    assert chart is not None
    for line in chart.lines:
        assert chart.left <= line.end_x <= chart.right
        assert chart.top - 0.1 <= line.end_y <= chart.bottom + 0.1
    places = sorted(line.label_y for line in chart.lines)
    assert all(below - above >= LABEL_ROOM - 0.2 for above, below in itertools.pairwise(places))


def test_no_curve_is_no_chart() -> None:
    assert plot([Curve("a", "run", "", ())]) is None


def test_the_best_epoch_is_the_first_of_the_best() -> None:
    chart = plot([Curve("a", "run", "", ((1, 0.5), (2, 0.9), (3, 0.9)))])
    assert chart is not None
    assert (chart.lines[0].best, chart.lines[0].best_epoch) == (0.9, 2)


def test_bars_are_shares_of_the_largest() -> None:
    assert bar_shares([200, 50, 0, 1]) == [100.0, 25.0, 0.0, 0.5]
    assert bar_shares([]) == []


def test_a_run_is_named_for_what_it_made() -> None:
    assert (
        run_title({"request": None, "outcome": {"model_version": "002", "base_version": "001"}})
        == "Model 002 from 001"
    )
    assert run_title({"request": {"trial": True, "base": "scratch"}, "outcome": None}) == "Trial from scratch"
    assert run_title({"request": {"base": "newest"}, "outcome": None}) == "Run from the newest model"
    assert run_title({"request": None, "outcome": None}) == "Run from scratch"
