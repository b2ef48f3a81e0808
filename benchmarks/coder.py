"""How long entropy coding takes: one rANS state, interleaved states, and constriction's coder.

    python benchmarks/coder.py            measures
    python benchmarks/coder.py report     prints the committed result as a table

The symbols are drawn from the tables of a kept file's weights, three million of them, in the
proportions that its tensors have. Each coder gets NumPy arrays and gives bytes, and back. Seconds
are the fastest of some passes, on one core. constriction is measured where it is installed
(`pip install constriction`); it makes tables of its own from our probabilities.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from context import fastest
from numpy.typing import NDArray

from inrcodec import VideoDecoder
from inrcodec._provenance import commit, processor_name, software_versions
from inrcodec._segment_codec import read_segment, tensor_layout
from inrcodec.bitstream import InrFile, _payload, pack_segment, unpack_segment
from inrcodec.bitstream._tables import choose_tables
from inrcodec.entropy import (
    InterleavedReader,
    MixtureModel,
    interleaved_compress,
    rans_compress,
    rans_decompress,
)
from inrcodec.quantization import QuantizedTensors

RESULTS = Path(__file__).resolve().parent / "results"
RESULT = RESULTS / "coder.json"
NUM_SYMBOLS = 3_000_000
LOG_STATES = (6, 8, 9, 10, 11, 12)
Symbols = NDArray[np.int32]
Coder = tuple[Callable[[], Any], Callable[[Any], Symbols], Callable[[Any], int]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", nargs="?", choices=("run", "report"), default="run")
    file = RESULTS / "files" / "bunny-flagship-600s-seed0.inr"
    parser.add_argument("--file", type=Path, default=file, metavar="INR")
    parser.add_argument("--result", type=Path, default=RESULT, metavar="JSON")
    arguments = parser.parse_args()
    if arguments.command == "run":
        arguments.result.write_text(json.dumps(measure(arguments.file), indent=1) + "\n")
    report(json.loads(arguments.result.read_text()))


def measure(path: Path) -> dict[str, Any]:
    """Measure all coders on symbols like those of the file's weights."""
    models, counts = tables_of(path)
    tensors = drawn(models, counts)
    symbols = np.concatenate(tensors)
    sizes = [tensor.size for tensor in tensors]
    tables = np.repeat(np.arange(len(models)), sizes)
    bits = sum(
        float((16 - np.log2(np.array(model.frequencies())))[tensor - model.lowest].sum())
        for model, tensor in zip(models, tensors, strict=True)
    )
    records = []
    for name, (encode, decode, num_bytes) in coders(symbols, tables, sizes, models):
        encode_seconds, code = fastest(encode)
        decode_seconds, found = fastest(partial(decode, code))
        if not np.array_equal(found, symbols):
            raise SystemExit(f"{name}: other symbols came back")
        records.append(
            {
                "coder": name,
                "bytes": num_bytes(code),
                "encode_seconds": encode_seconds,
                "decode_seconds": decode_seconds,
            }
        )
        print(records[-1], flush=True)
    return {
        "file": path.name,
        "symbols": symbols.size,
        "tables": len(models),
        "entropy_bytes": bits / 8,
        "coders": records,
        "segment": measure_segment(tensors),
        "processor": processor_name(),
        "versions": software_versions(),
        "commit": commit(),
    }


def tables_of(path: Path) -> tuple[list[MixtureModel], NDArray[np.int64]]:
    """Return the tables of a file's weights, and how many weights have each."""
    with VideoDecoder(path, device="cpu") as decoder, InrFile(path) as file:
        config, data, version = decoder.segment_config(0), file.segment(0), file.version
    quantized = read_segment(config, data, version=version)
    _, sizes, groups = tensor_layout(config)
    models, table_of = choose_tables(quantized.symbols[: groups[0]])
    counts = np.bincount(table_of, weights=sizes[: groups[0]], minlength=len(models))
    return models, counts.astype(np.int64)


def drawn(models: list[MixtureModel], counts: NDArray[np.int64]) -> list[Symbols]:
    """Return random symbols, an array a table, in proportion to `counts`."""
    ends = np.rint(NUM_SYMBOLS * np.cumsum([0, *counts]) / counts.sum()).astype(int)
    rng = np.random.default_rng(0)
    return [
        rng.choice(
            np.arange(model.lowest, model.highest + 1, dtype=np.int32),
            end - start,
            p=np.array(model.frequencies()) / (1 << 16),
        )
        for model, (start, end) in zip(models, pairwise(ends.tolist()), strict=True)
    ]


def coders(
    symbols: Symbols, tables: NDArray[np.int64], sizes: list[int], models: list[MixtureModel]
) -> Iterator[tuple[str, Coder]]:
    """Yield names, and how each encodes, decodes, and counts its bytes."""
    yield (
        "one state",
        (
            lambda: rans_compress(symbols, tables, models),
            lambda code: rans_decompress(code, tables, models),
            len,
        ),
    )
    for log_states in LOG_STATES:
        num_states = 1 << log_states
        yield (
            f"{num_states} states",
            (
                partial(interleaved_compress, symbols, tables, models, num_states=num_states),
                partial(read_interleaved, tables, models, num_states),
                len,
            ),
        )
    if importlib.util.find_spec("constriction") is not None:
        yield (
            f"constriction {importlib.metadata.version('constriction')}",
            (
                partial(encode_with_constriction, symbols, sizes, models),
                partial(decode_with_constriction, sizes, models),
                lambda code: 4 * code.size,
            ),
        )


def read_interleaved(
    tables: NDArray[np.int64], models: list[MixtureModel], num_states: int, code: bytes
) -> Symbols:
    reader = InterleavedReader(code, models, num_states=num_states)
    symbols = reader.read(tables)
    reader.end()
    return symbols


def encode_with_constriction(
    symbols: Symbols, sizes: list[int], models: list[MixtureModel]
) -> NDArray[np.uint32]:
    import constriction

    coder = constriction.stream.stack.AnsCoder()
    parts = np.split(symbols, np.cumsum(sizes)[:-1])
    for part, model in reversed(list(zip(parts, models, strict=True))):
        coder.encode_reverse(part - np.int32(model.lowest), categorical(model))
    code: NDArray[np.uint32] = coder.get_compressed()
    return code


def decode_with_constriction(
    sizes: list[int], models: list[MixtureModel], code: NDArray[np.uint32]
) -> Symbols:
    import constriction

    coder = constriction.stream.stack.AnsCoder(code)
    return np.concatenate(
        [
            coder.decode(categorical(model), size) + np.int32(model.lowest)
            for size, model in zip(sizes, models, strict=True)
        ]
    )


def categorical(model: MixtureModel) -> Any:
    import constriction

    probabilities = np.array(model.frequencies(), np.float32) / (1 << 16)
    return constriction.stream.model.Categorical(probabilities, perfect=False)


def measure_segment(tensors: list[Symbols]) -> dict[str, Any]:
    """Measure a whole segment of these tensors, with one state and with as many as suit."""
    quantized = QuantizedTensors(1.0, [0] * len(tensors), tensors)
    sizes, groups = [tensor.size for tensor in tensors], [len(tensors)]
    suitable = _payload.suitable_log_states
    seconds: dict[str, Any] = {}
    for name, log_states in (("one_state", lambda *_: 0), ("as_packed", suitable)):
        _payload.suitable_log_states = log_states
        pack_seconds, data = fastest(partial(pack_segment, quantized, groups))
        unpack_seconds, _ = fastest(partial(unpack_segment, data, sizes, groups))
        seconds[name] = {
            "bytes": len(data),
            "pack_seconds": pack_seconds,
            "unpack_seconds": unpack_seconds,
        }
    _payload.suitable_log_states = suitable
    return seconds


def report(result: dict[str, Any]) -> None:
    """Print the tables."""
    print(f"{result['symbols']:,} symbols, {result['tables']} tables, {result['processor']}\n")
    print("| coder | bytes | over the entropy | encoded in | decoded in |")
    print("|---|---|---|---|---|")
    for record in result["coders"]:
        over = record["bytes"] / result["entropy_bytes"] - 1
        seconds = f"{record['encode_seconds']:.3f} s | {record['decode_seconds']:.3f} s"
        print(f"| {record['coder']} | {record['bytes']:,} | {over:.3%} | {seconds} |")
    print("\n| a whole segment | bytes | packed in | unpacked in |")
    print("|---|---|---|---|")
    for name, record in result["segment"].items():
        seconds = f"{record['pack_seconds']:.3f} s | {record['unpack_seconds']:.3f} s"
        print(f"| {name.replace('_', ' ')} | {record['bytes']:,} | {seconds} |")


if __name__ == "__main__":
    main()
