"""``build``: nodes inside a node, and the keys that its messages name."""

from __future__ import annotations

import pytest

from basereward.config import build, has_inner_target
from basereward.errors import ConfigError

FRACTION = {"_target_": "fractions.Fraction", "numerator": 1, "denominator": 3}


def node(**keys) -> dict:
    return {"_target_": "builtins.dict"} | keys


def test_nodes_inside_a_node_are_built_first():
    built = build(node(one=FRACTION, more={"two": FRACTION | {"numerator": 2}}, rest=[FRACTION, 5]))
    assert [built["one"], built["more"]["two"], *built["rest"]] == [pytest.approx(x) for x in (1 / 3, 2 / 3, 1 / 3, 5)]
    assert type(built["rest"][0]).__name__ == "Fraction"


def test_runtime_values_reach_the_outer_part_alone():
    """A Fraction would refuse a width."""
    assert build(node(one=FRACTION), width=3)["width"] == 3


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (
            {"order": {"_target_": "basereward.losses.bradley_terry.BradleyTery"}},
            r"loss\.terms\.order.*did you mean 'BradleyTerry'",
        ),
        (
            {"order": {"_target_": "basereward.losses.bradley_terry.BradleyTerry", "smoothing": 1}},
            r"loss\.terms\.order\.smoothing",
        ),
        ([{"_target_": "basereward.losses.nowhere.Loss"}], r"loss\.terms\.0.*cannot import"),
    ],
)
def test_a_message_names_the_key_of_the_inner_node(inner, message):
    with pytest.raises(ConfigError, match=message):
        build({"_target_": "basereward.losses.sum.Sum", "terms": inner}, key="loss")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [({}, False), ({"a": [1, {"b": 2}]}, False), ({"a": FRACTION}, True), ({"a": [{"b": [FRACTION]}]}, True)],
)
def test_a_node_that_calls_more_than_itself_is_seen(keys, expected):
    assert has_inner_target(node(**keys)) is expected
