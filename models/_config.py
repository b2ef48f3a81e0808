"""What describes a network: frame size, strides, channel widths. It travels in the bitstream.

In: keyword arguments, or the plain dictionary of a file's header, which may be hostile.
Out: a frozen, checked dataclass, or a ModelError that shows the value and the rule.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import torch
from torch.overrides import TorchFunctionMode

from inrcodec.errors import ModelError

from ._strides import CELLS_WEIGHT, choose_strides, grid_of

if TYPE_CHECKING:
    from ._network import Network

__all__ = [
    "MAX_DECODER_PARAMS",
    "NetworkConfig",
    "Sizing",
    "StoredSize",
    "annotation",
    "check_clip",
    "check_range",
    "check_strides",
    "count_parameters",
    "show",
    "typed",
]

MAX_DECODER_PARAMS = 2**28
_MAX_ACTIVATION = 2**29  # values of one feature map of one frame
# Padded pixels: many times those of what the decoder draws, which strides that suit few cells may
# take for long and narrow frames; or as many as hurt nobody.
_MAX_PADDING, _FEW_PIXELS = 16, 2**20
_MAX_SIDE = 16384
_MAX_FRAMES = 2**24
_MAX_CHANNELS = 2048
_MAX_STAGES = 8
_FRAME_FIELDS = ("height", "width", "num_frames")  # the file's header has them already

ConfigT = TypeVar("ConfigT", bound="NetworkConfig")


class Sizing(NamedTuple):
    """What a network is sized for."""

    height: int  # of the frames
    width: int
    num_frames: int
    num_params: int  # the whole budget of stored values, embeddings included
    taper: float = 1.0  # of rules that have one: times a stage's width over the one before it
    cell_pixels: float = 1.0  # of rules that choose a grid: times what a cell of it covers
    quick: bool = False  # of rules that choose a head: cheap steps, for short fits or fast decoding

    @property
    def clip(self) -> tuple[int, int, int]:
        """Height, width and number of frames."""
        return self.height, self.width, self.num_frames

    def strides(
        self, *, num_cells: int = 8, max_stages: int = 5, cells_weight: float = CELLS_WEIGHT
    ) -> tuple[int, ...]:
        """Strides for frames of this size, see `choose_strides`."""
        return choose_strides(
            self.height,
            self.width,
            num_cells=num_cells,
            max_stages=max_stages,
            cells_weight=cells_weight,
        )

    def grid(self, strides: tuple[int, ...]) -> tuple[int, int]:
        """Rows and columns of the smallest feature map."""
        return grid_of(self.height, self.width, math.prod(strides))


@dataclass(frozen=True)
class NetworkConfig:
    """Hyper-parameters that every network has; each network subclasses it.

    Fields are ints, floats, strs or tuples of ints, and are checked on construction.

    Raises: ModelError.
    """

    height: int  # of the frames, before padding
    width: int
    num_frames: int
    strides: tuple[int, ...]  # upsampling of each stage, first to last
    channels: tuple[int, ...]  # width of the stem, then of each stage

    network: ClassVar[type[Network]]  # whose `config_class` this is
    # Whether `forward` never waits for the device, so that a CUDA graph can record a step of a fit.
    is_recordable: ClassVar[bool] = True
    frames_share_work: ClassVar[bool] = False  # so that a batch costs less than its frames alone
    follows_motion: ClassVar[bool] = False  # if its field `motion` is set
    # A CPU's matrix units take as long for 17 channels as for 32. Networks that follow their
    # authors' widths keep them: 1.
    cpu_multiple: ClassVar[int] = 1  # of the widths of a fit on a CPU, but those of small maps
    cpu_settings: ClassVar[Mapping[str, object]] = {}  # fields of all but long fits on a CPU
    margin = 0  # pixels drawn beyond the frame on each side; a field, where there may be some

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = typed(field.name, annotation(field), getattr(self, field.name))
            object.__setattr__(self, field.name, value)
        self._check_geometry()
        self.check()
        margins = 2 * self.margin
        num_pixels = (self.height + margins) * (self.width + margins)
        most = max(_MAX_PADDING * num_pixels, _FEW_PIXELS)
        check_range("padded pixels", math.prod(self.padded_size), 1, most)
        check_range("values of a feature map", self.largest_map, 1, _MAX_ACTIVATION)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the smallest feature map."""
        return grid_of(self.height, self.width, self.upsampling)

    @property
    def upsampling(self) -> int:
        """How many pixels a side of one grid cell has."""
        return math.prod(self.strides)

    @property
    def padded_size(self) -> tuple[int, int]:
        """Height and width of what the decoder computes before it crops."""
        rows, columns = self.grid
        return rows * self.upsampling, columns * self.upsampling

    @property
    def embedding_shape(self) -> tuple[int, int, int] | None:
        """(C, h, w) stored for each frame, or None where the index alone drives the network."""
        return None

    @property
    def has_motion(self) -> bool:
        """Whether frames are read from what the decoder draws at displaced places."""
        return False

    @property
    def largest_map(self) -> int:
        """Values of the largest feature map of one frame; what decoding's memory depends on."""
        rows, columns = self.grid
        most, upsampling = 0, 1
        for channels, stride in zip(self.channels, (1, *self.strides), strict=True):
            upsampling *= stride
            most = max(most, channels * rows * columns * upsampling**2)
        return most

    def check(self) -> None:
        """Check the fields that a subclass adds; raises ModelError."""

    def count_macs(self) -> int | None:
        """Multiply-accumulates to decode a frame, by the layers' shapes; None to trace them."""
        return None

    def build(self, *, with_encoder: bool = True) -> Network:
        """Build the network that this describes."""
        return self.network(self, with_encoder=with_encoder)

    @classmethod
    def for_base_width(
        cls: type[ConfigT], base_width: int, sizing: Sizing, **overrides: Any
    ) -> ConfigT:
        """Apply the authors' sizing rule to a base width; `overrides` set other fields."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, object]:
        """Return what the header must store: plain types, without frame size and defaults."""
        stored: dict[str, object] = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name not in _FRAME_FIELDS and value != field.default:
                stored[field.name] = list(value) if isinstance(value, tuple) else value
        return stored

    @classmethod
    def from_dict(
        cls: type[ConfigT],
        fields: Mapping[str, object],
        *,
        height: int,
        width: int,
        num_frames: int,
    ) -> ConfigT:
        """Read what `to_dict` wrote; the input may be hostile.

        Raises: ModelError for an unknown, missing, mistyped or out-of-range field, and for a
        network of more than 2**28 decoder parameters. Allocates nothing.
        """
        if not isinstance(fields, Mapping):
            raise ModelError(f"network fields are {show(fields)}; they must be a mapping")
        known = {f.name: f for f in dataclasses.fields(cls) if f.name not in _FRAME_FIELDS}
        for name in fields:
            if not isinstance(name, str) or name not in known:
                raise ModelError(f"unknown network field {show(name)}; known: {', '.join(known)}")
        for name, field in known.items():
            if name not in fields and field.default is dataclasses.MISSING:
                raise ModelError(f"network field {name!r} is missing")
        values: dict[str, Any] = dict(fields)
        config = cls(height=height, width=width, num_frames=num_frames, **values)
        num_params = count_parameters(config).decoder
        if num_params > MAX_DECODER_PARAMS:
            raise ModelError(
                f"the decoder would have {num_params} parameters; at most {MAX_DECODER_PARAMS}"
            )
        return config

    def _check_geometry(self) -> None:
        check_clip(self.height, self.width, self.num_frames)
        check_strides(self.strides)
        check_range("product of strides", self.upsampling, 2, max(self.height, self.width, 2))
        check_range("number of channels", len(self.channels), *2 * (len(self.strides) + 1,))
        for channels in self.channels:
            check_range("channels", channels, 1, _MAX_CHANNELS)


@dataclass(frozen=True)
class StoredSize:
    """Numbers of values that a file has to hold."""

    decoder: int
    embeddings: int  # of all frames together

    @property
    def total(self) -> int:
        """All stored values."""
        return self.decoder + self.embeddings


_FILLING = {"kaiming_uniform_", "normal_", "trunc_normal_", "uniform_"}


class _WithoutFilling(TorchFunctionMode):
    """Leaves tensors as they are made: to fill those of the meta device is slow, for nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call `func`, or return the tensor that it would fill."""
        if getattr(func, "__name__", "") in _FILLING:
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


def build_on_meta(config: NetworkConfig) -> Network:
    """Build the network with shapes only, on the meta device and without its encoder."""
    with torch.device("meta"), _WithoutFilling():
        return config.build(with_encoder=False)


@lru_cache(maxsize=4096)
def count_parameters(config: NetworkConfig) -> StoredSize:
    """Count the stored values of a network without allocating it.

    Raises: ModelError where the decoder has state that is no parameter.
    """
    decoder = build_on_meta(config).decoder
    parameters = {name for name, _ in decoder.named_parameters()}
    others = [name for name in decoder.state_dict() if name not in parameters]
    if others:  # a file would not have it
        raise ModelError(
            f"{others[0]!r} of the decoder is no parameter of its own; a persistent buffer or a "
            "tied weight is not stored"
        )
    return StoredSize(
        decoder=sum(parameter.numel() for parameter in decoder.parameters()),
        embeddings=math.prod(config.embedding_shape or (0,)) * config.num_frames,
    )


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise ModelError unless low <= value <= high."""
    if not low <= value <= high:
        rule = f"{low}" if low == high else f"from {low} to {high}"
        raise ModelError(f"{name} is {show(value)}; it must be {rule}")


def check_clip(height: int, width: int, num_frames: int) -> None:
    """Check the size of frames and their number; raises ModelError."""
    check_range("height", height, 1, _MAX_SIDE)
    check_range("width", width, 1, _MAX_SIDE)
    check_range("num_frames", num_frames, 1, _MAX_FRAMES)


def check_strides(strides: Sequence[int]) -> None:
    """Check the upsampling of stages; raises ModelError."""
    check_range("number of strides", len(strides), 1, _MAX_STAGES)
    for stride in strides:
        check_range("stride", stride, 2, 5)


def show(value: object) -> str:
    """Shorten a value, which may be hostile, for an error message."""
    try:
        return reprlib.repr(value)
    except ValueError:  # an integer of more digits than Python prints
        return f"a huge {type(value).__name__}"


def annotation(field: dataclasses.Field[Any]) -> str:
    """Return what a field is annotated with, whether or not annotations are evaluated."""
    return field.type if isinstance(field.type, str) else field.type.__name__


def typed(name: str, annotation: str, value: object) -> object:
    """Return a field's `value` as the type that it is annotated with; bools are not ints here.

    Raises: ModelError.
    """
    if annotation == "int" and type(value) is int:
        return value
    if annotation == "str" and isinstance(value, str):
        return value
    if annotation == "float" and type(value) in (int, float):
        check_range(name, value, -1e9, 1e9)  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    if annotation.startswith("tuple") and isinstance(value, (list, tuple)):
        check_range(f"length of {name}", len(value), 0, 64)
        if all(type(item) is int for item in value):
            return tuple(value)
    raise ModelError(f"{name} is {show(value)}; it must be of type {annotation}")
