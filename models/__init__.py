"""The networks: one file an architecture, and a registry that knows them by name."""

from __future__ import annotations

from ._budget import align_widths
from ._convnext import ConvNeXtEncoder
from ._embeddings import EmbeddingTable
from ._inference import halves, prepare_for_inference
from ._motion import read_displaced
from ._network import (
    Network,
    NetworkConfig,
    Sizing,
    StoredSize,
    build_on_meta,
    count_parameters,
    kmac_per_pixel,
    macs_per_frame,
)
from ._processor import has_avx2_alone
from ._registry import (
    Entry,
    build,
    check_settings,
    config_from_dict,
    entry,
    for_budget,
    names,
    register,
)
from ._strides import choose_strides
from .boost import BoostConfig, Boosted
from .enerv import ENeRV, ENeRVConfig
from .ffnerv import FFNeRV, FFNeRVConfig
from .hinerv import HiNeRV, HiNeRVConfig
from .hnerv import HNeRV, HNeRVConfig
from .hnervpp import HNeRVPP, HNeRVPPConfig
from .nerv import NeRV, NeRVConfig
from .nervpp import NeRVPP, NeRVPPConfig

__all__ = [
    "BoostConfig",
    "Boosted",
    "ConvNeXtEncoder",
    "ENeRV",
    "ENeRVConfig",
    "EmbeddingTable",
    "Entry",
    "FFNeRV",
    "FFNeRVConfig",
    "HNeRV",
    "HNeRVConfig",
    "HNeRVPP",
    "HNeRVPPConfig",
    "HiNeRV",
    "HiNeRVConfig",
    "NeRV",
    "NeRVConfig",
    "NeRVPP",
    "NeRVPPConfig",
    "Network",
    "NetworkConfig",
    "Sizing",
    "StoredSize",
    "align_widths",
    "build",
    "build_on_meta",
    "check_settings",
    "choose_strides",
    "config_from_dict",
    "count_parameters",
    "entry",
    "for_budget",
    "halves",
    "has_avx2_alone",
    "kmac_per_pixel",
    "macs_per_frame",
    "names",
    "prepare_for_inference",
    "read_displaced",
    "register",
]
