"""Uniform quantisation of weights and embeddings, and how its bits are shared among tensors."""

from inrcodec.quantization._allocation import allocate_step_codes, output_sensitivity
from inrcodec.quantization._prediction import (
    differences_pay,
    temporal_difference,
    temporal_sum,
)
from inrcodec.quantization._rate import (
    admissible_step_codes,
    estimate_bytes,
    finest_global_step,
    solve_global_step,
)
from inrcodec.quantization._uniform import (
    MAX_SYMBOL,
    QuantizedTensors,
    dequantize,
    fake_quantize,
    quantize,
    step_size,
)

__all__ = [
    "MAX_SYMBOL",
    "QuantizedTensors",
    "admissible_step_codes",
    "allocate_step_codes",
    "dequantize",
    "differences_pay",
    "estimate_bytes",
    "fake_quantize",
    "finest_global_step",
    "output_sensitivity",
    "quantize",
    "solve_global_step",
    "step_size",
    "temporal_difference",
    "temporal_sum",
]
