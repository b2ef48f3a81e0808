"""Uniform quantisation of weights and embeddings, and how its bits are shared among tensors."""

from inrcodec.quantization._allocation import (
    allocate_step_codes,
    output_sensitivity,
    range_step_codes,
    shift_step_codes,
)
from inrcodec.quantization._feedback import round_with_feedback
from inrcodec.quantization._prediction import (
    Grid,
    Prediction,
    best_residuals,
    channels_of,
    residuals_of,
    symbols_of,
)
from inrcodec.quantization._rate import (
    admissible_step_codes,
    estimate_bytes,
    finest_global_step,
    solve_global_step,
)
from inrcodec.quantization._trajectories import round_trajectories
from inrcodec.quantization._uniform import (
    MAX_GLOBAL_STEP,
    MAX_STEP_CODE,
    MAX_SYMBOL,
    MIN_GLOBAL_STEP,
    MIN_STEP_CODE,
    QuantizedTensors,
    dequantize,
    fake_quantize,
    quantize,
    soft_round,
    step_size,
)

__all__ = [
    "MAX_GLOBAL_STEP",
    "MAX_STEP_CODE",
    "MAX_SYMBOL",
    "MIN_GLOBAL_STEP",
    "MIN_STEP_CODE",
    "Grid",
    "Prediction",
    "QuantizedTensors",
    "admissible_step_codes",
    "allocate_step_codes",
    "best_residuals",
    "channels_of",
    "dequantize",
    "estimate_bytes",
    "fake_quantize",
    "finest_global_step",
    "output_sensitivity",
    "quantize",
    "range_step_codes",
    "residuals_of",
    "round_trajectories",
    "round_with_feedback",
    "shift_step_codes",
    "soft_round",
    "solve_global_step",
    "step_size",
    "symbols_of",
]
