"""Every error that inrcodec raises on purpose.

    InrcodecError
    ├── BitstreamError        an .inr file is damaged, truncated, hostile or of an unknown version
    ├── VideoError            a source cannot be read, or an output cannot be written
    ├── ModelError            hyper-parameters that a network does not admit
    │   ├── UnknownModelError an unknown network
    │   ├── ModelSettingError a setting that the network does not have, or not of this type
    │   └── ModelSizeError    a number of values that the network cannot be made to store
    ├── RateError             a rate or quality target that cannot be met
    ├── TimeError             a budget of time that leaves none to fit in
    ├── DatasetError          a dataset that is not there, or is not what it should be
    ├── CheckpointError       a checkpoint that does not belong to this encode
    ├── EvaluationError       an evaluation that cannot go on: a missing extra, mixed records
    │   └── CodecError        FFmpeg, or another codec run through it, is unknown or fails
    └── Interrupted           Ctrl-C during an encode, after its checkpoint was saved

Mistakes of the calling program stay `ValueError` and `TypeError`.
"""

from __future__ import annotations

__all__ = [
    "BitstreamError",
    "CheckpointError",
    "CodecError",
    "DatasetError",
    "EvaluationError",
    "InrcodecError",
    "Interrupted",
    "ModelError",
    "ModelSettingError",
    "ModelSizeError",
    "RateError",
    "TimeError",
    "UnknownModelError",
    "VideoError",
]


class InrcodecError(Exception):
    """Base class of every error that inrcodec raises on purpose."""


class BitstreamError(InrcodecError):
    """An `.inr` file is damaged, truncated, hostile or of an unknown version."""


class VideoError(InrcodecError):
    """A source cannot be read, or an output cannot be written."""


class ModelError(InrcodecError):
    """An unknown network, or hyper-parameters that it does not admit."""


class UnknownModelError(ModelError):
    """No network has this name."""


class ModelSettingError(ModelError):
    """The network has no setting of this name, or not of this type."""


class ModelSizeError(ModelError):
    """The network cannot be made so small, or so large."""

    is_too_large: bool = False


class RateError(InrcodecError):
    """A rate or quality target that cannot be met."""


class TimeError(InrcodecError):
    """A budget of time that leaves none to fit in."""


class DatasetError(InrcodecError):
    """A dataset that is not there, or is not what it should be."""


class CheckpointError(InrcodecError):
    """A checkpoint that does not belong to this encode."""


class EvaluationError(InrcodecError):
    """An evaluation that cannot go on: a missing extra, a damaged record, mixed settings."""


class CodecError(EvaluationError):
    """FFmpeg, or another codec that is run through it for comparison, is unknown or fails."""


class Interrupted(InrcodecError):
    """Ctrl-C during an encode, after its checkpoint was saved."""
