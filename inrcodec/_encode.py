"""Encoding: read, fit each segment, quantise and code it to the wished size, write, verify.

In: a source and what the user wishes. Out: an `.inr` file, and an `EncodeReport` whose quality
is measured on what decodes from that file.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from inrcodec._at_once import Crew
from inrcodec._extras import missing_extra
from inrcodec._job import Encoding
from inrcodec._options import EncodeOptions, check_positive
from inrcodec._presets import SEGMENT_FRAMES
from inrcodec._quality_search import MAX_ROUNDS, search_quality
from inrcodec._report import EncodeReport
from inrcodec._rounds import EncodedVideo, Plan, check_time, encode_round
from inrcodec.errors import InrcodecError, RateError, TimeError
from inrcodec.fitting import FitProgress
from inrcodec.metrics import MAX_PSNR_DB
from inrcodec.video import RawVideoFormat


def encode(
    source: str | Path,
    output: str | Path,
    *,
    preset: str = "medium",
    bpp: float | None = None,
    size_bytes: int | None = None,
    psnr: float | None = None,
    epochs: int | None = None,
    time_seconds: float | None = None,
    model: str | None = None,
    recipe: str | None = None,
    fit_settings: Mapping[str, object] | None = None,
    model_settings: Mapping[str, object] | None = None,
    bits_per_parameter: float | None = None,
    fresh: bool = False,
    frames: tuple[int, int | None] | None = None,
    resize: tuple[int, int] | None = None,
    crop: tuple[int, int] | None = None,
    raw: RawVideoFormat | None = None,
    fps: Fraction | float | None = None,
    audio: bool = True,
    segment_frames: int = SEGMENT_FRAMES,
    device: str = "auto",
    precision: str = "auto",
    seed: int = 0,
    resume: bool = False,
    workers: int = 1,
    executor: str = "local",
    progress: bool = False,
    on_progress: Callable[[FitProgress], None] | None = None,
) -> EncodeReport:
    """Encode a video into an `.inr` file.

    Args:
        source: any file FFmpeg opens, a folder or pattern of images, a raw `.yuv` (with `raw`),
            or the name of a dataset such as `bunny`.
        output: the file to write; it appears when it is complete.
        preset: `fast`, `medium`, `slow` or `best`: the default of model, rate, budget and recipe,
            and how much decoding may cost, which bounds the model of the preset. A warning says
            where no network of so many bytes is as cheap.
        bpp: bits per pixel of the file, audio excluded. The file comes within 2 % of it and never
            above. At most one of `bpp`, `size_bytes` and `psnr`.
        size_bytes: bytes of the file on disk, audio included; met likewise.
        psnr: mean RGB PSNR in dB; the smallest file found that reaches it, of up to 4 fits, each of
            which ends as soon as it is reached.
        epochs: visits of every frame; fewer where the PSNR rises no more. At most one of `epochs`
            and `time_seconds`; without them the epochs of the `recipe`, if it is given and
            prescribes them, else the preset's.
        time_seconds: bound of the whole encode.
        model: a network's name, see `inrcodec.models.names()`.
        recipe: `default`, `ms-ssim`, `muon`, `soap`, or `paper`: the network's published loss,
            optimiser, schedule and number of epochs.
        fit_settings: fields of `inrcodec.fitting.FitConfig` that override the recipe's, all but
            `epochs`, `seconds`, `precision` and `seed`.
        model_settings: fields of the network's configuration that override its sizing rule's, all
            but `channels`, such as `{"strides": (4, 4)}`.
        bits_per_parameter: what a stored weight is expected to take at the wished size, which is
            how many of them the network gets, at most 10; values of embeddings are expected to take
            0.4 of it. None for 5, or for 3.7 where the network is `hnervpp`.
        fresh: whether to choose the frequencies of the network's positional encoding by the clip
            before the fit (arXiv 2410.05050); for networks without embeddings that have one.
        frames: half-open range of frames to encode.
        resize: (width, height) to which frames are resized.
        crop: (width, height) of a central crop, made before the resize.
        raw: format of a raw `.yuv` source.
        fps: frames a second of a folder or pattern of images, 25 by default; of a raw file whose
            name states its format, in place of the rate there.
        audio: whether to pass audio through.
        segment_frames: a longer clip is cut into segments of at most so many frames.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        precision: of the fit: `fp32`; `tf32`, in which a GPU multiplies fp32; `bf16`; or `auto`:
            bf16 where the device computes in it.
        seed: of initial weights and frame order.
        resume: go on from the checkpoint of an interrupted call with the same arguments.
        workers: how many segments are fitted at once, each with its share of the cores, or with one
            of the GPUs in turns. Files depend on it as they do on the number of threads. They are
            processes, for which a script needs its `if __name__ == "__main__":`.
        executor: `local`: in processes of this machine; or `ray`: as tasks of ray, whose cluster
            the environment variable RAY_ADDRESS names. What they wait there for a place is not part
            of `time_seconds`.
        progress: show progress on stderr.
        on_progress: called about twice a second while a network is fitted, for each of those that
            are fitted at once.

    Raises:
        ValueError: an argument is out of its range.
        ModelError: no such network, or one of its settings is unknown or out of its range.
        DatasetError: the clip of this name is not on this machine.
        VideoError: the source cannot be read.
        RateError: the wished rate or quality cannot be met.
        TimeError: `time_seconds` leaves no time to fit.
        CheckpointError: the checkpoint is of another encode.
        Interrupted: Ctrl-C, after the checkpoint was saved.
        InrcodecError: the fit diverged, a worker died, or the executor's package is missing.
    """
    started = time.perf_counter()
    # Plain numbers, for the checkpoint: NumPy's are welcome too, there as in the options.
    for name, value in {"bpp": bpp, "size_bytes": size_bytes, "psnr": psnr}.items():
        check_positive(name, value)
    bpp = None if bpp is None else float(bpp)
    size_bytes = None if size_bytes is None else int(size_bytes)
    check_positive("size_bytes", size_bytes)  # as a whole number
    psnr = None if psnr is None else float(psnr)
    wishes = {"bpp": bpp, "size_bytes": size_bytes, "psnr": psnr}
    crew = Crew(workers, executor)
    if executor == "ray" and (missing := missing_extra("ray", "the executor ray")):
        raise InrcodecError(missing)
    given = [name for name, value in wishes.items() if value is not None]
    if len(given) > 1:
        raise ValueError(f"{' and '.join(given)} are given, at most one of them may be")
    if psnr is not None and psnr > MAX_PSNR_DB:
        raise ValueError(f"psnr is {psnr}, must be <= {MAX_PSNR_DB:g}, which a perfect copy has")
    options = EncodeOptions(
        preset=preset,
        epochs=epochs,
        time_seconds=time_seconds,
        model=model,
        recipe=recipe,
        fit_settings=fit_settings,
        model_settings=model_settings,
        bits_per_parameter=bits_per_parameter,
        fresh=fresh,
        frames=frames,
        resize=resize,
        crop=crop,
        raw=raw,
        fps=fps,
        audio=audio,
        segment_frames=segment_frames,
        device=device,
        precision=precision,
        seed=seed,
        resume=resume,
        progress=progress,
        on_progress=on_progress,
    )
    encoding = Encoding(source, Path(output), options, wishes=wishes, crew=crew, started=started)
    num_bytes = encoding.bytes_of_bpp(encoding.bpp if bpp is None else bpp)
    if size_bytes is not None:
        num_bytes = encoding.bytes_of_size(size_bytes)
    encoding.find_motions()
    if psnr is None:
        with encoding.naming_audio():
            encoded = encode_round(
                encoding.job,
                num_bytes,
                name="0",
                seconds=encoding.options.time_seconds,
                session=encoding.session,
                bars=encoding.bars,
                crew=encoding.crew,
            )
    else:
        try:
            encoded = _search(encoding, psnr, num_bytes)
        except RateError:  # the same call would go on to the same end
            encoding.session.remove()
            raise
    report = encoding.write(encoded, Path(output))
    encoding.session.remove()
    return report


def _search(encoding: Encoding, goal_db: float, num_bytes: int) -> EncodedVideo:
    job, session, seconds = encoding.job, encoding.session, encoding.options.time_seconds
    num_rounds = 1 if seconds is None else MAX_ROUNDS
    longest_plan = 0.0

    def encode_at(round_index: int, size: int) -> EncodedVideo:
        nonlocal longest_plan
        name = f"{round_index}, {size} bytes"
        before = session.seconds()
        # A search that goes on has begun a round, perhaps of another size than the first.
        is_begun = name in session.ends or (round_index == 0 and bool(session.ends))
        if seconds is not None and not is_begun:
            check_time(seconds - before - longest_plan)
        try:
            plan = Plan.of(job, size, num_rounds=num_rounds)
        finally:
            longest_plan = max(longest_plan, session.seconds() - before)

        def encode_until(end: float | None) -> EncodedVideo:
            session.ends[name] = end
            return encode_round(
                job,
                size,
                name=name,
                seconds=end,
                goal_db=goal_db,
                session=session,
                bars=encoding.bars,
                plan=plan,
                crew=encoding.crew,
            )

        if name in session.ends:  # an interrupted round keeps the end that it had, if it may
            ends = [end for end in (session.ends[name], seconds) if end is not None]
            return encode_until(min(ends, default=None))
        if seconds is not None:
            now = session.seconds()  # reading, or the round before, may have taken a share
            fair = now + (seconds - now) / (MAX_ROUNDS - round_index)
            with suppress(TimeError):  # then all that is left is for this one
                return encode_until(max(seconds * (round_index + 1) / MAX_ROUNDS, fair))
        return encode_until(seconds)

    def seconds_left() -> float:
        return math.inf if seconds is None else seconds - session.seconds()

    return search_quality(
        goal_db,
        num_bytes,
        encode=encode_at,
        psnr_db=encoding.psnr_db,
        seconds_left=seconds_left,
    )
