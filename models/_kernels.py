"""Triton kernels of what fits on a GPU wait for: passes over large maps, several layers in one.

Only `_fused.py` imports this, where there is Triton. A map is (rows, W, C) in memory, the rows of
all frames one after the other, so channels are last. A program computes PIXELS x CHANNELS values at
a time, in float32 whatever the map is stored in; places beyond a frame read as zero. Programs that
sum over pixels go through many such blocks and store a sum each, which PyTorch adds up: in one
order, so that a seed fixes a fit. Sizes are not specialised: compiling takes a fit's time.
"""

# mypy: ignore-errors
# Triton's language is no Python: it has its own types, which mypy cannot see.

import triton
import triton.language as tl

_TAPS = tl.constexpr(9)  # of a depthwise filter, row by row
_SUMS = tl.constexpr(10)  # of its taps, and of its bias


@triton.jit(do_not_specialize=["height", "width", "vectors"])
def depthwise(
    x, weight, bias, gate_weight, gate_bias, y,
    height, width, vectors,
    GATED: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr, ALIGNED: tl.constexpr,
):  # fmt: skip
    """Filter x, and multiply by x filtered by the gate, or take the GELU."""
    num_channels = vectors * ALIGNED
    row, columns = _block(tl.program_id(0), width, PIXELS)
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    near = _neighbours(x, row, columns, channels, height, width, num_channels)
    value = _filtered(near, weight, bias, channels, num_channels)
    if GATED:
        value *= _filtered(near, gate_weight, gate_bias, channels, num_channels)
    else:
        value = _gelu(value)
    _store(y, value, row, columns, channels, width, num_channels)


@triton.jit(do_not_specialize=["num_blocks", "height", "width", "vectors"])
def depthwise_gradients(
    x, d_y, weight, bias, gate_weight, gate_bias, d_drawn, d_gate, sums,
    num_blocks, height, width, vectors,
    GATED: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr, ALIGNED: tl.constexpr,
):  # fmt: skip
    """From y's gradient those of both filters' outputs, and sums of those of taps and biases.

    `sums` is (programs, filters, 10, C).
    """
    num_channels = vectors * ALIGNED
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    zero = tl.zeros((PIXELS, CHANNELS), tl.float32)
    of_filter = (zero, zero, zero, zero, zero, zero, zero, zero, zero, zero)
    of_gate = of_filter
    for index in range(tl.program_id(0), num_blocks, tl.num_programs(0)):
        row, columns = _block(index, width, PIXELS)
        near = _neighbours(x, row, columns, channels, height, width, num_channels)
        slope = _at(d_y, row, columns, channels, 0, 0, height, width, num_channels)
        drawn = _filtered(near, weight, bias, channels, num_channels)
        if GATED:
            gate = _filtered(near, gate_weight, gate_bias, channels, num_channels)
            to_gate = slope * drawn
            slope *= gate
            of_gate = _added(of_gate, near, to_gate)
            _store(d_gate, to_gate, row, columns, channels, width, num_channels)
        else:
            slope *= _gelu_slope(drawn)
        of_filter = _added(of_filter, near, slope)
        _store(d_drawn, slope, row, columns, channels, width, num_channels)
    line = tl.program_id(0) * (2 if GATED else 1) * _SUMS
    live = channels < num_channels
    for i in tl.static_range(_SUMS):
        place = (line + i) * num_channels + channels
        tl.store(sums + place, tl.sum(of_filter[i], 0), mask=live)
        if GATED:
            place = (line + _SUMS + i) * num_channels + channels
            tl.store(sums + place, tl.sum(of_gate[i], 0), mask=live)


@triton.jit(do_not_specialize=["num_blocks", "height", "width", "vectors"])
def depthwise_input_gradient(
    d_drawn, d_gate, d_out, weight, gate_weight, d_x, sums,
    num_blocks, height, width, vectors,
    GATED: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr, ALIGNED: tl.constexpr,
):  # fmt: skip
    """From the gradients of the filters' outputs that of x, plus `d_out`.

    `sums` is of the latter, (programs, C).
    """
    num_channels = vectors * ALIGNED
    channels = tl.program_id(1) * CHANNELS + tl.arange(0, CHANNELS)
    live = channels < num_channels
    total = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for index in range(tl.program_id(0), num_blocks, tl.num_programs(0)):
        row, columns = _block(index, width, PIXELS)
        value = _at(d_out, row, columns, channels, 0, 0, height, width, num_channels)
        total += value
        near = _neighbours(d_drawn, row, columns, channels, height, width, num_channels)
        value += _spread(near, weight, channels, num_channels)
        if GATED:
            near = _neighbours(d_gate, row, columns, channels, height, width, num_channels)
            value += _spread(near, gate_weight, channels, num_channels)
        _store(d_x, value, row, columns, channels, width, num_channels)
    tl.store(sums + tl.program_id(0) * num_channels + channels, tl.sum(total, 0), mask=live)


@triton.jit(do_not_specialize=["width", "stride", "vectors"])
def shuffle_gelu(
    u, bias, y, width, stride, vectors,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, ALIGNED: tl.constexpr,
):  # fmt: skip
    """Add the bias, shuffle pixels and take the GELU.

    u is (rows, W, s, s, C') and y (s rows, s W, C'); the bias is in PyTorch's order, (C', s, s).
    The program's second number is of a run of s C' values, those of a cell that stay together, and
    of which of the cell's s rows they are.
    """
    num_channels = vectors * ALIGNED
    row, columns = _block(tl.program_id(0), width, PIXELS)
    i, place, live = _run(tl.program_id(1), stride, num_channels, CHANNELS)
    value = _biased(u, bias, row, columns, i, place, live, width, stride, num_channels)
    run = stride * num_channels
    _store(y, _gelu(value), row * stride + i, columns, place, width, run)


@triton.jit(do_not_specialize=["num_blocks", "width", "stride", "vectors"])
def shuffle_gelu_gradients(
    u, bias, d_y, d_u, sums, num_blocks, width, stride, vectors,
    PIXELS: tl.constexpr, CHANNELS: tl.constexpr, ALIGNED: tl.constexpr,
):  # fmt: skip
    """From y's gradient that of u, and sums of it, (programs, s, s, C')."""
    num_channels = vectors * ALIGNED
    i, place, live = _run(tl.program_id(1), stride, num_channels, CHANNELS)
    run = stride * num_channels
    total = tl.zeros((PIXELS, CHANNELS), tl.float32)
    for index in range(tl.program_id(0), num_blocks, tl.num_programs(0)):
        row, columns = _block(index, width, PIXELS)
        value = _biased(u, bias, row, columns, i, place, live, width, stride, num_channels)
        slope = _at(d_y, row * stride + i, columns, place, 0, 0, 1, width, run)
        slope *= _gelu_slope(value)
        total += slope
        at, mask = _in_cells(row, columns, i, place, live, width, stride, num_channels)
        tl.store(d_u + at, slope.to(d_u.dtype.element_ty), mask=mask)
    tl.store(sums + tl.program_id(0) * stride * run + i * run + place, tl.sum(total, 0), mask=live)


@triton.jit
def _block(index, width, PIXELS: tl.constexpr):
    """Return which row a block is of, and which columns."""
    blocks = tl.cdiv(width, PIXELS)
    row = (index // blocks).to(tl.int64)
    return row, (index % blocks) * PIXELS + tl.arange(0, PIXELS)


@triton.jit
def _run(index, stride, num_channels, CHANNELS: tl.constexpr):
    """Return which of a cell's rows, which places of its run of s C' values, and which exist."""
    blocks = tl.cdiv(stride * num_channels, CHANNELS)
    place = (index % blocks) * CHANNELS + tl.arange(0, CHANNELS)
    return index // blocks, place, place < stride * num_channels


@triton.jit
def _at(x, row, columns, channels, down, right, height, width, num_channels):
    """Load a block from so many rows below and columns to the right."""
    y = row % height + down + tl.zeros_like(columns)  # a vector, as Triton's interpreter needs
    at = columns + right
    inside = (y >= 0) & (y < height) & (at >= 0) & (at < width) & (columns < width)
    mask = inside[:, None] & (channels < num_channels)[None, :]
    place = ((row + down) * width + at)[:, None] * num_channels + channels[None, :]
    return tl.load(x + place, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _store(y, value, row, columns, channels, width, num_channels):
    mask = (columns < width)[:, None] & (channels < num_channels)[None, :]
    place = (row * width + columns)[:, None] * num_channels + channels[None, :]
    tl.store(y + place, value.to(y.dtype.element_ty), mask=mask)


@triton.jit
def _neighbours(x, row, columns, channels, height, width, num_channels):
    """Load a block and the eight that are a pixel away, from above left to below right."""
    return (
        _at(x, row, columns, channels, -1, -1, height, width, num_channels),
        _at(x, row, columns, channels, -1, 0, height, width, num_channels),
        _at(x, row, columns, channels, -1, 1, height, width, num_channels),
        _at(x, row, columns, channels, 0, -1, height, width, num_channels),
        _at(x, row, columns, channels, 0, 0, height, width, num_channels),
        _at(x, row, columns, channels, 0, 1, height, width, num_channels),
        _at(x, row, columns, channels, 1, -1, height, width, num_channels),
        _at(x, row, columns, channels, 1, 0, height, width, num_channels),
        _at(x, row, columns, channels, 1, 1, height, width, num_channels),
    )


@triton.jit
def _filtered(near, weight, bias, channels, num_channels):
    """Return what weights (C, 9) and a bias make of a block's neighbours."""
    live = channels < num_channels
    value = near[0] * 0 + tl.load(bias + channels, mask=live, other=0.0).to(tl.float32)[None, :]
    for tap in tl.static_range(_TAPS):
        value += near[tap] * _factor(weight, tap, channels, num_channels)
    return value


@triton.jit
def _spread(near, weight, channels, num_channels):
    """Return what of a filter's gradient comes to its input: the same taps, turned round."""
    value = near[0] * 0
    for tap in tl.static_range(_TAPS):
        value += near[tap] * _factor(weight, _TAPS - 1 - tap, channels, num_channels)
    return value


@triton.jit
def _factor(weight, tap, channels, num_channels):
    live = channels < num_channels
    factor = tl.load(weight + channels * _TAPS + tap, mask=live, other=0.0)
    return factor.to(tl.float32)[None, :]


@triton.jit
def _added(sums, near, slope):
    """Add a block to the gradients of nine taps and a bias, whose pixels are summed at the end."""
    return (
        sums[0] + near[0] * slope,
        sums[1] + near[1] * slope,
        sums[2] + near[2] * slope,
        sums[3] + near[3] * slope,
        sums[4] + near[4] * slope,
        sums[5] + near[5] * slope,
        sums[6] + near[6] * slope,
        sums[7] + near[7] * slope,
        sums[8] + near[8] * slope,
        sums[9] + slope,
    )


@triton.jit
def _biased(u, bias, row, columns, i, place, live, width, stride, num_channels):
    """Load a block of u (rows, W, s, s, C') and add its bias (C', s, s)."""
    at, mask = _in_cells(row, columns, i, place, live, width, stride, num_channels)
    value = tl.load(u + at, mask=mask, other=0.0).to(tl.float32)
    of_bias = (place % num_channels) * stride * stride + i * stride + place // num_channels
    return value + tl.load(bias + of_bias, mask=live, other=0.0).to(tl.float32)[None, :]


@triton.jit
def _in_cells(row, columns, i, place, live, width, stride, num_channels):
    """Return where the values of a block are in a map (rows, W, s, s, C'), and which exist."""
    run = stride * num_channels
    at = (row * width + columns)[:, None] * (stride * run) + (i * run + place)[None, :]
    return at, (columns < width)[:, None] & live[None, :]


@triton.jit
def _gelu(x):
    return 0.5 * x * (1 + tl.erf(x * 0.7071067811865476))


@triton.jit
def _gelu_slope(x):
    return (
        0.5 * (1 + tl.erf(x * 0.7071067811865476)) + x * tl.exp(-0.5 * x * x) * 0.3989422804014327
    )
