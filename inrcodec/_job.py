"""An encode before its fits and after them: source, checkpoint, motion; then files.

In: a source and options. Out: an `EncodeJob` and the session that its rounds go on from; later the
files, and of each an `EncodeReport`, whose quality is measured on what decodes from it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from inrcodec._at_once import HERE, Crew
from inrcodec._decoder import VideoDecoder
from inrcodec._motion import find_motion
from inrcodec._options import EncodeOptions, fingerprint, fit_config_of
from inrcodec._output import probe_folder, replaced_file
from inrcodec._presets import preset as preset_named
from inrcodec._progress import ProgressBars
from inrcodec._report import EncodeReport
from inrcodec._reporting import make_report, score
from inrcodec._rounds import EncodedVideo, check_time
from inrcodec._segment_encode import split_segments
from inrcodec._session import MOTIONS, Session, checkpoint_path
from inrcodec._sizing import EncodeJob
from inrcodec._source import Source, SourceOptions, read_source
from inrcodec.bitstream import is_inr_file, pack_audio, section_bytes, write_atomically
from inrcodec.errors import CheckpointError, RateError, VideoError
from inrcodec.fitting import ClipMotion, check_fresh, recipe_epochs, resolve_device
from inrcodec.models import check_settings, entry

Item = TypeVar("Item")


class Encoding:
    """An encode, prepared: its clip is read.

    Args:
        source: as `encode` has it.
        output: the file to write, or the pattern of their names; the checkpoint lies beside it.
        options: of the encode.
        wishes: of the rate, which the checkpoint belongs to.
        crew: who fits the segments.
        started: `time.perf_counter()` when the encode began.

    Raises:
        As `encode` does before a fit.
    """

    def __init__(
        self,
        source: str | Path,
        output: Path,
        options: EncodeOptions,
        *,
        wishes: Mapping[str, Any],
        crew: Crew = HERE,
        started: float,
    ) -> None:
        chosen = preset_named(options.preset)
        model = options.model or chosen.model
        check_settings(model, options.model_settings or {})
        if options.fresh:
            check_fresh(model, options.model_settings or {})
        epochs = options.epochs
        if epochs is None and options.time_seconds is None:
            recipe = options.recipe
            epochs = (recipe_epochs(recipe, model) if recipe else None) or chosen.epochs
        self.options = replace(
            options,
            epochs=epochs,
            model=model,
            recipe=options.recipe or chosen.recipe,
            fit_settings=options.fit_settings or {},
            model_settings=options.model_settings or {},
        )
        fit_config = fit_config_of(self.options)
        device = resolve_device(options.device)
        if not output.parent.is_dir():
            raise VideoError(f"{output}: folder {output.parent} does not exist")
        self.source = source
        self.check_target(output)
        checkpoint = checkpoint_path(output)
        if checkpoint.exists() and not options.resume:
            raise CheckpointError(
                f"{checkpoint} is there, of an interrupted encode: go on with it (--resume), or "
                "delete it"
            )
        self.bars = ProgressBars(enabled=options.progress, on_fit=options.on_progress)
        clip = _read(source, options, self.bars)
        read_seconds = time.perf_counter() - started
        self.bpp = chosen.bpp  # of the preset
        sizes = [wishes.get(name) for name in ("size_bytes", "sizes_bytes")]
        self._has_sizes = any(size is not None for size in sizes)
        self.session = Session(
            output,
            {
                **wishes,
                **fingerprint(self.options, device),
                "audio": options.audio if self._has_sizes else None,  # takes bytes from the fit
            },
            clip.frames,
            time_seconds=self.options.time_seconds,
            resume=options.resume,
            started=started,
        )
        self.session.spend("read", read_seconds)
        if options.time_seconds is not None and self.session.time_seconds is not None:
            # The imports that a command takes out of its time differ from call to call.
            fit_config = replace(fit_config, seconds=self.session.time_seconds)
            bound = min(options.time_seconds, self.session.time_seconds)
            self.options = replace(self.options, time_seconds=bound)
        self.job = EncodeJob(
            clip,
            [pack_audio(stream) for stream in clip.audio],
            model,
            fit_config,
            device,
            options.segment_frames,
            options.fresh,
            dict(self.options.model_settings or {}),
            options.bits_per_parameter,
            chosen.kmac_bound(model, height=clip.frames.shape[2], width=clip.frames.shape[3]),
            num_gpus=crew.num_gpus(device),
        )
        self.crew = crew
        num_segments = -(-len(clip.frames) // options.segment_frames)
        if num_segments < crew.workers:
            warnings.warn(
                f"{crew.workers} workers for {num_segments} segment{'s' * (num_segments > 1)}: "
                "shorter ones (--segment-frames) can be fitted at once",
                stacklevel=2,
            )

    def check_target(self, path: Path) -> None:
        """Refuse a file to write that is the source, is there and is no `.inr` file, or that has no
        place: hours may go into it.

        Raises:
            VideoError: so it is.
        """
        target = replaced_file(path)
        if path.exists() and Path(self.source).exists() and path.samefile(self.source):
            raise VideoError(f"{path}: is the source, and would be overwritten")
        if path.exists() and path.stat().st_size and not is_inr_file(path):
            raise VideoError(f"{path}: is there already and is no .inr file; delete it first")
        try:
            for place in {path, target}:  # a link's has the checkpoint
                probe_folder(place)
        except OSError as exc:
            raise VideoError(f"{path}: cannot be written: {exc.strerror or exc}") from exc

    def find_motions(self) -> None:
        """Find the motion of every segment, for networks that follow it.

        Raises:
            TimeError: reading took all the time there is.
        """
        before = self.session.seconds()
        if self.options.time_seconds is not None and self.session.is_new:
            check_time(self.options.time_seconds - before)
        self.job = replace(self.job, motions=self._find_motions())
        self.session.spend("motion", self.session.seconds() - before)

    def _find_motions(self) -> tuple[ClipMotion | None, ...]:
        """Return the motion of every segment, where its network is to follow it; found once."""
        job, session = self.job, self.session
        kept = session.finished.get(MOTIONS)
        if kept is not None:
            return tuple(None if m is None else ClipMotion(**m) for m in kept["segments"])
        motions = tuple(
            find_motion(
                job.source.frames[a:b],
                model=job.model,
                settings=job.model_settings,
                max_kmac_per_pixel=job.max_kmac_per_pixel,
                progress=self._while_time_is_left,
            )
            for a, b in split_segments(len(job.source.frames), job.segment_frames)
        )
        if entry(job.model).config_class.follows_motion:  # that there is none, too
            segments = [None if m is None else vars(m) for m in motions]
            session.remember(MOTIONS, {"segments": segments})
        return motions

    def _while_time_is_left(self, runs: Collection[Item]) -> Iterator[Item]:
        """Yield runs of frames whose motion is sought.

        Raises:
            TimeError: it has taken all the time there is.
        """
        for run in self.bars.wrap(runs, len(runs), "motion"):
            if self.options.time_seconds is not None:
                check_time(self.options.time_seconds - self.session.seconds())
            yield run

    def bytes_of_bpp(self, bpp: float) -> int:
        """Return what the file may take at so many bits per pixel, audio excluded."""
        num_frames, _, height, width = self.job.source.frames.shape
        return int(bpp * num_frames * height * width / 8)

    def bytes_of_size(self, size_bytes: int) -> int:
        """Return what a file of this size may take, audio excluded.

        Raises:
            RateError: its audio alone takes as much.
        """
        audio_bytes = self._audio_bytes()
        if audio_bytes >= size_bytes:
            raise RateError(
                f"audio alone takes {audio_bytes} of {size_bytes} bytes; "
                "wish a larger size, or leave the audio out (--no-audio)"
            )
        return size_bytes - audio_bytes

    @contextmanager
    def naming_audio(self) -> Iterator[None]:
        """Say, where a size of the whole file is wished for, that a refused one is without audio.

        Raises:
            RateError: as it was raised inside, with that.
        """
        try:
            yield
        except RateError as exc:
            if not (self._has_sizes and self.job.audio):
                raise
            raise RateError(
                f"{exc} (bytes without those of the audio, {self._audio_bytes()} of the wished "
                "size; --no-audio leaves it out)"
            ) from exc

    def _audio_bytes(self) -> int:
        return sum(section_bytes(len(payload)) for payload in self.job.audio)

    def psnr_db(self, encoded: EncodedVideo) -> float:
        """Return the mean PSNR of what decodes, in dB."""
        with VideoDecoder(encoded.to_bytes(), device=str(self.job.device)) as decoder:
            return score(decoder, self.job.source, with_ms_ssim=False)[0]

    def write(
        self, encoded: EncodedVideo, path: Path, *, code_seconds: float | None = None
    ) -> EncodeReport:
        """Write a file, and report on what decodes from it.

        Args:
            encoded: what to write.
            path: where.
            code_seconds: that coding it took; None where it is the only file: then its fits are all
                that were made, and coding is all that was neither reading nor fitting.
        """
        write_atomically(path, encoded.to_bytes())
        read_seconds, motion_seconds = (self.session.spent[stage] for stage in ("read", "motion"))
        fit_seconds = motion_seconds + (
            self.session.spent["fit"]
            if code_seconds is None
            else sum(fit.seconds for fit in encoded.fits)
        )
        seconds = {"read": read_seconds, "fit": fit_seconds}
        if code_seconds is None:
            code_seconds = self.session.seconds() - sum(seconds.values())
        started = time.perf_counter()
        with VideoDecoder(path, device=str(self.job.device)) as decoder:
            quality = score(decoder, self.job.source)
        seconds |= {"code": code_seconds, "verify": time.perf_counter() - started}
        seconds["total"] = sum(seconds.values())
        return make_report(
            self.job,
            encoded,
            quality,
            seconds,
            path=path,
            options=self.options,
            workers=min(self.crew.workers, len(encoded.segments)),
        )


def _read(source: str | Path, options: EncodeOptions, bars: ProgressBars) -> Source:
    chosen = SourceOptions(
        frames=options.frames,
        resize=options.resize,
        crop=options.crop,
        raw=options.raw,
        fps=options.fps,
        audio=options.audio,
    )
    return read_source(
        source, chosen, progress=lambda items, total: bars.wrap(items, total, "read")
    )
