"""The zoo: names, and what builds, sizes and reads the network behind each."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from inrcodec.errors import ModelError, ModelSettingError, UnknownModelError

from ._budget import check_overrides, fit_to_budget
from ._config import NetworkConfig, show
from ._network import Network

__all__ = [
    "Entry",
    "build",
    "check_settings",
    "config_from_dict",
    "entry",
    "for_budget",
    "names",
    "register",
]

NetworkT = TypeVar("NetworkT", bound=Network)


@dataclass(frozen=True)
class Entry:
    """One registered network."""

    name: str
    network: type[Network]
    variant: Mapping[str, object]  # fields that the name fixes

    @property
    def config_class(self) -> type[NetworkConfig]:
        """Class of the network's hyper-parameters."""
        return self.network.config_class

    @property
    def has_embeddings(self) -> bool:
        """Whether the network stores embeddings of the frames, which drive it."""
        return self.config_class.embedding_shape is not NetworkConfig.embedding_shape

    @property
    def paper(self) -> str:
        """Title of the paper."""
        return self.network.paper

    @property
    def arxiv(self) -> str:
        """The paper's arXiv number."""
        return self.network.arxiv


_ENTRIES: dict[str, Entry] = {}


def register(name: str, **variant: object) -> Callable[[type[NetworkT]], type[NetworkT]]:
    """Class decorator: put a network into the zoo, with the fields that this name fixes.

    Raises: ModelError where the name is taken, or the network's configuration is another's.
    """

    def decorate(network: type[NetworkT]) -> type[NetworkT]:
        if name in _ENTRIES:
            raise ModelError(f"network {name!r} is registered twice; names are unique")
        config_class = network.config_class
        if config_class.network is not network:
            raise ModelError(
                f"{config_class.__name__} is the configuration of "
                f"{config_class.network.__name__}; {network.__name__} needs one of its own"
            )
        fixed = {field: _plain(value) for field, value in variant.items()}
        _ENTRIES[name] = Entry(name, network, fixed)
        return network

    return decorate


def names() -> list[str]:
    """Names of all networks, sorted."""
    return sorted(_ENTRIES)


def entry(name: str) -> Entry:
    """Look a network up.

    Raises: UnknownModelError that names the nearest and all known networks.
    """
    if isinstance(name, str) and name in _ENTRIES:
        return _ENTRIES[name]
    short = name[:64] if isinstance(name, str) else show(name)
    nearest = difflib.get_close_matches(short.lower(), names(), n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ";"
    raise UnknownModelError(f"unknown network {short!r}{hint} known: {', '.join(names())}")


def build(name: str, config: NetworkConfig, *, with_encoder: bool = True) -> Network:
    """Build a network with freshly initialised weights.

    Raises: ModelError where the configuration belongs to another network.
    """
    found = entry(name)
    if type(config) is not found.config_class:
        raise ModelError(
            f"{type(config).__name__} does not configure {name!r}; "
            f"it must be {found.config_class.__name__}"
        )
    for field, value in found.variant.items():
        _check_variant(name, field, getattr(config, field), value)
    return config.build(with_encoder=with_encoder)


def config_from_dict(
    name: str, fields: Mapping[str, object], *, height: int, width: int, num_frames: int
) -> NetworkConfig:
    """Read the fields that a file's header stores; they may be hostile.

    Raises: ModelError with the value and the rule.
    """
    found = entry(name)
    if isinstance(fields, Mapping):
        for field, value in found.variant.items():
            _check_variant(name, field, fields.get(field, value), value)
        fields = {**found.variant, **fields}
    return found.config_class.from_dict(fields, height=height, width=width, num_frames=num_frames)


def check_settings(name: str, settings: Mapping[str, object]) -> None:
    """Check that a network has these settings, of these types, and that its name leaves them free.

    Whether their values go together is seen when the network is sized.

    Raises: UnknownModelError; ModelSettingError with the settings that there are.
    """
    found = entry(name)
    try:
        for field, value in found.variant.items():
            _check_variant(name, field, settings.get(field, value), value)
        check_overrides(found.config_class, settings)
    except ModelError as exc:
        raise ModelSettingError(str(exc)) from exc


def for_budget(
    name: str,
    num_params: int,
    *,
    height: int,
    width: int,
    num_frames: int,
    max_kmac_per_pixel: float | None = None,
    quick: bool = False,
    **overrides: Any,
) -> NetworkConfig:
    """Size a network so that it stores `num_params` values, embeddings included, within 2 %.

    `overrides` set fields other than `channels`, which this chooses, such that decoding takes at
    most `max_kmac_per_pixel` thousand multiply-accumulates a pixel, or as few as it can. `quick`
    asks for a shape whose steps cost less, for a fit that can make few, of networks whose rule has
    one.

    Raises: ModelSizeError that says the smallest or largest possible size; ModelSettingError.
    """
    check_settings(name, overrides)
    found = entry(name)
    return fit_to_budget(
        found.config_class,
        num_params,
        height=height,
        width=width,
        num_frames=num_frames,
        max_kmac_per_pixel=max_kmac_per_pixel,
        quick=quick,
        **{**found.variant, **overrides},
    )


def _check_variant(name: str, field: str, value: object, fixed: object) -> None:
    if _plain(value) != fixed:
        raise ModelError(f"{field} is {show(value)}; {name!r} fixes it to {fixed!r}")


def _plain(value: object) -> object:
    """Return a field's value as a configuration has it: headers store tuples as lists."""
    return tuple(value) if isinstance(value, list) else value
