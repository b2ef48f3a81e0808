"""What a header stores about a network, and what happens when a header lies."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from inrcodec import models
from inrcodec.errors import ModelError

FRAME = {"height": 90, "width": 160, "num_frames": 12}
GOOD: dict[str, Any] = {"strides": [5, 2], "channels": [4, 4, 4]}
PLAIN = (int, float, str, list)

HOSTILE: dict[str, dict[Any, Any]] = {
    "unknown key": {**GOOD, "colour": 1},
    "frame size": {**GOOD, "height": 90},
    "bytes key": {**GOOD, b"strides": [2]},
    "no strides": {"channels": [4, 4, 4]},
    "no channels": {"strides": [5, 2]},
    "empty strides": {"strides": [], "channels": [4]},
    "stride of one": {"strides": [5, 1], "channels": [4, 4, 4]},
    "stride of zero": {"strides": [5, 0], "channels": [4, 4, 4]},
    "negative stride": {"strides": [-5, -2], "channels": [4, 4, 4]},
    "large stride": {"strides": [5, 80], "channels": [4, 4, 4]},
    "nine stages": {"strides": [2] * 9, "channels": [4] * 10},
    "a million stages": {"strides": [2] * 10**6, "channels": [4, 4, 4]},
    "cell larger than the frame": {"strides": [5, 5, 4, 4], "channels": [4] * 5},
    "too few channels": {"strides": [5, 2], "channels": [4, 4]},
    "too many channels": {"strides": [5, 2], "channels": [4] * 4},
    "zero channels": {"strides": [5, 2], "channels": [4, 0, 4]},
    "wide": {"strides": [5, 2], "channels": [4, 2049, 4]},
    "huge": {"strides": [5, 2], "channels": [4, 10**5000, 4]},
    "too many parameters": {"strides": [5, 5], "channels": [2048] * 3},
    "floats": {"strides": [5.0, 2.0], "channels": [4, 4, 4]},
    "bools": {"strides": [5, 2], "channels": [True, 4, 4]},
    "string": {"strides": "52", "channels": [4, 4, 4]},
    "none": {"strides": None, "channels": [4, 4, 4]},
    "nested": {"strides": [[5], [2]], "channels": [4, 4, 4]},
}
HOSTILE_FIELDS: list[tuple[str, str, Any]] = [
    ("nerv", "pe_base", float("nan")),
    ("nerv", "pe_base", float("inf")),
    ("nerv", "pe_base", 10**400),
    ("nerv", "pe_levels", 0),
    ("nerv", "pe_levels", 2**31),
    ("nerv", "kernel_size", 2),
    ("nerv", "kernel_size", 9),
    ("hnerv", "embedding_channels", 0),
    ("hnerv", "embedding_channels", 257),
    ("hnerv", "embedding_channels", True),
    ("hnerv", "min_kernel_size", 4),
    ("hnerv", "min_kernel_size", 7),
    ("hnerv", "max_kernel_size", 9),
    ("hnervpp", "plain_stages", -1),
    ("hnervpp", "plain_stages", 9),
    ("hnervpp", "gated_stages", -1),
    ("hnervpp", "gated_stages", 9),
    ("nervpp", "block", "sideways"),
    ("nervpp", "block", b"gated"),
    ("nervpp-repo", "block", "separable"),
    ("nervpp", "stem_width", 0),
    ("nervpp", "stem_width", 2**62),
]
NUMBERS = st.integers() | st.floats() | st.booleans() | st.none() | st.text(max_size=8)
VALUES = st.recursive(NUMBERS, lambda inner: st.lists(inner, max_size=9), max_leaves=12)


@pytest.mark.parametrize("name", models.names())
def test_round_trip(name: str) -> None:
    config = models.for_budget(name, 60_000, **FRAME)
    stored = config.to_dict()
    assert models.config_from_dict(name, stored, **FRAME) == config
    assert all(type(value) in PLAIN for value in stored.values())
    assert not set(FRAME) & set(stored)


def test_defaults_are_not_stored() -> None:
    assert models.config_from_dict("hnerv", GOOD, **FRAME).to_dict() == GOOD
    stored = models.config_from_dict("hnerv", {**GOOD, "embedding_channels": 3}, **FRAME).to_dict()
    assert stored == {**GOOD, "embedding_channels": 3}


@pytest.mark.parametrize("name", ["hnerv", "nervpp"])
@pytest.mark.parametrize("fields", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_fields(name: str, fields: dict[Any, Any]) -> None:
    if name == "nervpp" and fields is HOSTILE["too many parameters"]:
        fields = {**fields, "stem_width": 2048}
    with pytest.raises(ModelError):
        models.config_from_dict(name, fields, **FRAME)


@pytest.mark.parametrize(("name", "field", "value"), HOSTILE_FIELDS)
def test_hostile_values_are_shown(name: str, field: str, value: Any) -> None:
    with pytest.raises(ModelError, match=r"must be|fixes it"):
        models.config_from_dict(name, {**GOOD, field: value}, **FRAME)


@pytest.mark.parametrize("fields", [None, [], 3, "strides", b"\x80"])
@pytest.mark.parametrize("name", ["hnervpp", "nervpp-repo"])
def test_fields_must_be_a_mapping(name: str, fields: Any) -> None:
    with pytest.raises(ModelError, match="mapping"):
        models.config_from_dict(name, fields, **FRAME)


@pytest.mark.parametrize("key", ["height", "width", "num_frames"])
@pytest.mark.parametrize("value", [0, -1, 2**40, 1.5, None, "90", True])
def test_hostile_frame_size(key: str, value: Any) -> None:
    with pytest.raises(ModelError, match=key):
        models.config_from_dict("hnerv", GOOD, **{**FRAME, key: value})


def test_feature_maps_are_bounded() -> None:
    fields = {"strides": [5, 2], "channels": [4, 4, 64]}
    with pytest.raises(ModelError, match="feature map"):
        models.config_from_dict("hnerv", fields, height=16000, width=16000, num_frames=1)


@pytest.mark.parametrize(("height", "width"), [(16384, 1), (1, 16384), (16384, 200)])
def test_padding_is_bounded(height: int, width: int) -> None:
    frame = {"height": height, "width": width, "num_frames": 1}
    fields = {"strides": [4] * 7, "channels": [1] * 8}
    with pytest.raises(ModelError, match="padded pixels is 268435456"):
        models.config_from_dict("nerv", fields, **frame)


@pytest.mark.parametrize(("height", "width"), [(1, 20), (16, 4000), (600, 9), (270, 480)])
@pytest.mark.parametrize("name", ["nerv", "hinerv", "hnervpp", "hnervpp-boost"])
def test_sized_networks_are_within_the_padding(name: str, height: int, width: int) -> None:
    frame = {"height": height, "width": width, "num_frames": 10}
    config = models.for_budget(name, 60_000, **frame)
    assert models.config_from_dict(name, config.to_dict(), **frame) == config


@pytest.mark.parametrize(("name", "steps"), [("ffnerv", "grid_steps"), ("hinerv", "local_steps")])
def test_time_steps_count_as_maps(name: str, steps: str) -> None:
    """All of them have a weight in each frame."""
    frame = {"height": 64, "width": 96, "num_frames": 8}
    fields = models.for_budget(name, 60_000, **frame).to_dict()
    many = 300_000
    fields[steps] = [many] if steps == "grid_steps" else many
    assert models.config_from_dict(name, fields, **frame).largest_map == many


@pytest.mark.parametrize("name", models.names())
def test_a_frame_of_a_pixel_is_padded(name: str) -> None:
    config = models.for_budget(name, 60_000, height=1, width=1, num_frames=4)
    network = models.build(name, config)
    shape = network.embedding_shape
    embeddings = None if shape is None else torch.zeros(2, *shape)
    assert network(torch.arange(2), embeddings).shape == (2, 3, 1, 1)


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(models.names()),
    st.dictionaries(
        st.sampled_from(
            ["strides", "channels", "block", "stem_width", "pe_base", "embedding_channels", "x"]
        ),
        VALUES,
        max_size=4,
    ),
)
def test_any_fields_give_a_config_or_a_model_error(name: str, fields: dict[str, Any]) -> None:
    try:
        config = models.config_from_dict(name, {**GOOD, **fields}, **FRAME)
    except ModelError:
        return
    assert models.count_parameters(config).decoder <= 2**28


def test_configs_are_frozen() -> None:
    config = models.config_from_dict("hnerv", GOOD, **FRAME)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.height = 3  # type: ignore[misc]
