"""The bytes of a fit: its quantiser, when and how it is met, and what of the rate is in the loss.

In: a network, the frames it is fitted to, and the bytes that it may take. Out: weights and
embeddings as the file will have them, terms of the loss, and the tensors to store.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from inrcodec.errors import InrcodecError
from inrcodec.fitting._batches import embed_all, frame_batch
from inrcodec.fitting._coded_quality import rounding_loss_db
from inrcodec.fitting._config import FitConfig
from inrcodec.fitting._embedding_rate import EmbeddingRate
from inrcodec.fitting._entropy_minimization import EntropyQuantizer
from inrcodec.fitting._precision import fp32_arithmetic
from inrcodec.fitting._qat import CodedBytes, Quantizer, stored_tensors
from inrcodec.fitting._weight_rounding import WeightRounding
from inrcodec.models import Network
from inrcodec.quantization import Grid

_log = logging.getLogger(__name__)

# How often, within its phase, the quantiser's step is adapted to the weights' drift.
_UPDATES = 8
_HARDNESS = (1.0, 60.0)  # at both ends of the phase
_HARD = 10.0  # from here on weights are nearly on multiples of their steps
_SENSITIVITY_FRAMES = 4
_MOMENT_FRAMES = 8  # that rounding with feedback knows the layers' inputs from
# How often they are rounded until they take the bytes: of those wished as many as `_AIM`, within
# `_NEAR` of them. Later they may be as few as `_LEAST`.
_ROUNDINGS = 3
_AIM, _NEAR, _LEAST = 0.995, 0.003, 0.982
# Soft rounding meets the bytes up to this update, then a part of them, which may grow; and again
# where they are more than `_MOST`.
_LAST_SOFT_MEETING, _SOFT_SHARE, _MOST = 2, 0.995, 0.9995
# Weights that settle softly win back two thirds of what rounding takes, embeddings nothing: those
# have half the steps of equal slopes (benchmarks/notes/rate.md). In eighths of an octave.
_EMBEDDING_CODE = -8
_SETTLING = 2  # the update at which embeddings settle
# Squared steps a bit: equal slopes would be 0.12, or 0.46 where steps are half as long.
_EMBEDDING_LMBDA = 0.25
_SETTLED_SHARE = 0.997  # of the bytes wished, when embeddings have settled
_SETTLINGS = (False, True, True)  # until they take those; which are measured


def hardness(progress: float) -> float:
    """Return how hard soft rounding is, over the progress of the quantised phase, 0 to 1.

    >>> [round(hardness(progress), 1) for progress in (0.0, 0.5, 1.0)]
    [1.0, 7.7, 60.0]
    """
    first, last = _HARDNESS
    return float(first * (last / first) ** min(max(progress, 0.0), 1.0))


class RateControl:
    """What a fit does about its bytes.

    Args:
        network: on its device.
        frames: `(N, 3, H, W)` uint8.
        config: of the fit.
        num_bytes: what the coded tensors may take, side information included.
        coded_bytes: codes tensors and counts, for a few times within the fit; None to estimate.
        device: where to compute.
    """

    def __init__(
        self,
        network: Network,
        frames: Tensor,
        config: FitConfig,
        *,
        num_bytes: float,
        coded_bytes: CodedBytes | None,
        device: torch.device,
    ) -> None:
        self.network = network
        self.frames = frames
        self.config = config
        self.num_bytes = num_bytes
        self.coded_bytes = coded_bytes
        self.device = device
        self.updates = 0
        shape = network.embedding_shape
        # As last computed: exact ones would take another pass over all frames.
        self.embeddings = None if shape is None else torch.zeros(len(frames), *shape, device=device)
        self.settled = False  # whether embeddings stay as they are
        self.quantizer = self._new_quantizer()
        self._is_soft = config.rounds_softly
        self.hardness = torch.tensor(_HARDNESS[0], device=device)  # of soft rounding
        self.embedding_rate = None
        if config.rate_weight and shape is not None:
            self.embedding_rate = EmbeddingRate(config.rate_weight, num_bytes)

    @property
    def quantizes(self) -> bool:
        """Whether the fit goes through the quantiser."""
        return self.quantizer.ready

    def begins(self, progress: float) -> bool:
        """Whether the quantised phase begins now."""
        return self.updates == 0 and self._is_due(progress)

    def meet(self, progress: float) -> bool:
        """When the quantised phase begins, and now and then in it, meet the wished bytes."""
        if self._is_soft:
            self.hardness.fill_(hardness(1 - (1 - progress) / self.config.qat_fraction))
        if not self._is_due(progress):
            return False
        first, half, last = (self.updates == i for i in (0, _UPDATES // 2, _UPDATES - 1))
        tensors = self.stored_tensors(exact=first)
        if first:
            self._allocate(self.quantizer, tensors)
        settles = half and self.quantizer.settles
        if settles:
            self.quantizer.settle()
        # Coding takes as long as tens of steps: at both ends of the phase it is worth them, and
        # where embeddings settle.
        measured = first or last or settles
        if self._is_soft:
            self._meet_softly(tensors, measured=measured)
        elif self.config.rounds_with_feedback:
            if first:
                self._meet(self.quantizer, tensors, measured=True)
            if first or not self._keeps(tensors, measured=measured):
                self._round_weights()
        else:
            self._meet(self.quantizer, tensors, measured=measured)
        self._count_in_steps_of(self.quantizer)
        self.updates += 1
        return True

    def embed(self, x: Tensor | None, indices: Tensor) -> Tensor | None:
        """Return the embeddings `(B, C, h, w)` of a batch: the network's, until they settle.

        Args:
            x: `(B, 3, H, W)` in [0, 1]; None where no encoder looks at frames.
            indices: `(B,)` which frames these are, on the device.
        """
        if self.embeddings is None:
            return None
        return self.embeddings[indices] if self.settled else self.network.embed(x, indices)

    def embed_all(self, network: Network) -> Tensor | None:
        """Return the embeddings `(N, C, h, w)` that a file would have, were it of this network."""
        return self.embeddings if self.settled else embed_all(network, self.frames)

    def decoder_weights(self) -> dict[str, Tensor]:
        """The decoder's parameters as a step of the quantised phase computes with them."""
        if self._is_soft:
            return self.quantizer.softened_weights(self.network, self.hardness)
        return self.quantizer.decoder_weights(self.network)

    def rounding_loss_db(self) -> float:
        """Return what rounding everything at once would take now, of some frames.

        Its steps are those that the embeddings' rate is counted in until there are better ones.
        """
        batch, indices = self._some_frames()
        quantizer, tensors = Quantizer(), self.stored_tensors(exact=False)
        self._allocate(quantizer, tensors, num_projections=1)
        self._meet(quantizer, tensors, measured=False)
        self._count_in_steps_of(quantizer)
        return rounding_loss_db(self.network, quantizer, batch, indices)

    def added_to(self, loss: Tensor, embeddings: Tensor | None, indices: Tensor) -> Tensor:
        """Return the loss with the terms of the rate.

        Args:
            loss: of the distortion, a scalar.
            embeddings: of the batch, `(B, C, h, w)`, before they are quantised.
            indices: `(B,)` which frames these are.
        """
        terms = []
        if self.embedding_rate is not None and self.embeddings is not None and not self.settled:
            assert embeddings is not None  # a network that stores them computes them
            terms.append(self.embedding_rate(embeddings, indices, self.embeddings))
        if self.quantizes:
            term = self.quantizer.rate_term(self.network, embeddings, self.embeddings)
            terms += [] if term is None else [term]
        # They weigh parts of the bytes against parts of the error, whose logarithm has those.
        of_loss = 1.0 if self.config.loss == "log_l2" else loss.detach()
        return loss + of_loss * sum(terms) if terms else loss

    @torch.no_grad()
    def remember(self, embeddings: Tensor | None, indices: Tensor) -> None:
        """Keep the embeddings `(B, C, h, w)` of a batch as last computed."""
        if self.embeddings is not None and embeddings is not None and not self.settled:
            self.embeddings[indices] = embeddings.float()

    def stored_tensors(self, *, exact: bool) -> list[NDArray[np.float32]]:
        """What a file would store now; of an encoder what it last gave, unless it must be exact.

        Raises:
            InrcodecError: it is not finite.
        """
        if exact or not self.network.encodes_frames:
            self.embeddings = self.embed_all(self.network)
        tensors = stored_tensors(self.network, self.embeddings)
        if not all(np.isfinite(tensor).all() for tensor in tensors):
            raise InrcodecError("the fit diverged: lower the learning rate")
        return tensors

    def end(self) -> list[NDArray[np.float32]]:
        """Return the tensors to store; what was not fitted through the quantiser meets it now."""
        tensors = self.stored_tensors(exact=True)
        first = not self.quantizes
        if first:
            self._allocate(self.quantizer, tensors)
            self._meet(self.quantizer, tensors, measured=True)
        # Nothing has rounded averages, nor weights of a fit whose phase is not there or cut short.
        is_cut = self._is_soft and (first or float(self.hardness) < _HARD)
        is_new = first or is_cut or (self._is_soft and self.config.ema > 0)
        with_feedback = self.config.rounds_at_the_end or is_cut
        if with_feedback and (is_new or not self._keeps(tensors, measured=True)):
            self._round_weights()
            tensors = self.stored_tensors(exact=True)
        return tensors

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs."""
        return {
            "quantizer": self.quantizer.state(),
            "embeddings": self.embeddings,
            "settled": self.settled,
            "updates": self.updates,
            "hardness": float(self.hardness),
            "rate_steps": None if self.embedding_rate is None else self.embedding_rate.steps,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state()`."""
        self.quantizer.load_state(state["quantizer"])
        if self.embeddings is not None:
            self.embeddings.copy_(state["embeddings"])
        self.settled, self.updates = state["settled"], state["updates"]
        self.hardness.fill_(state.get("hardness", _HARDNESS[0]))
        if self.embedding_rate is not None and state["rate_steps"] is not None:
            self.embedding_rate.steps = state["rate_steps"].to(self.device)

    def _is_due(self, progress: float) -> bool:
        """Whether it is time to meet the wished bytes, anew."""
        phase = self.config.qat_fraction
        due = 1 - phase + phase * self.updates / _UPDATES
        return phase > 0 and progress >= due and self.updates < _UPDATES

    def _new_quantizer(self) -> Quantizer:
        if self.config.rounds_softly:
            return Quantizer(max_measurements=1)  # settling corrects it
        if self.config.quantizer != "entropy":
            return Quantizer()
        num_tensors = self._embedding_tensors().stop
        return EntropyQuantizer(num_tensors, device=self.device, seed=self.config.seed)

    def _allocate(
        self,
        quantizer: Quantizer,
        tensors: list[NDArray[np.float32]],
        *,
        num_projections: int = 4,
    ) -> None:
        if self.config.quantizer != "sensitivity":
            quantizer.allocate_by_range(tensors)
        else:
            batch, indices = self._some_frames()
            quantizer.allocate(
                self.network,
                batch,
                indices,
                num_frames=len(self.frames),
                seed=self.config.seed,
                num_projections=num_projections,
            )
        if self._is_soft:
            quantizer.shift_codes(self._embedding_tensors(), _EMBEDDING_CODE)

    def _meet_softly(self, tensors: list[NDArray[np.float32]], *, measured: bool) -> None:
        """Follow the bytes while hardly anything is rounded; then let steps be, if they can.

        Weights near multiples of their steps are stretched by others, and bytes do not even rise
        and fall with those. So there is some room for what the rest of the phase adds.
        """
        follows, settles = self.updates <= _LAST_SOFT_MEETING, self.updates == _SETTLING
        if follows:
            share = _SOFT_SHARE if self.updates == _LAST_SOFT_MEETING else 1.0
            self._meet(self.quantizer, tensors, measured=measured, share=share)
        if settles:
            self._settle_embeddings(tensors)
        if follows or settles:
            return
        coded_bytes = self.coded_bytes if measured else None
        found = self.quantizer.found_bytes(tensors, grids=self._grids(), coded_bytes=coded_bytes)
        if found <= _MOST * self.num_bytes:
            return
        _log.info("soft weights take %.2f %% of the bytes", 100 * found / self.num_bytes)
        # Settled embeddings are multiples of their steps, and of those a little coarser.
        changing = tensors[: self._embedding_tensors().start] if self.settled else tensors
        octaves = 8 * (found - _SOFT_SHARE * self.num_bytes) / sum(t.size for t in changing)
        self.quantizer.take_global_step(tensors, self.quantizer.global_step * 2**octaves)

    @torch.no_grad()
    def _settle_embeddings(self, tensors: list[NDArray[np.float32]]) -> None:
        """Round the embeddings once and for all, to what their changes in time pay for.

        Straight through they would go on growing, and many come to lie half way between multiples
        of their steps, from where they jump to and fro while weights settle around them.

        Args:
            tensors: as they are stored before it.
        """
        exact = self.embed_all(self.network)
        if exact is None:
            return
        lmbda = _EMBEDDING_LMBDA if self.config.codes_in_context else 0.0
        aim = _SETTLED_SHARE * self.num_bytes
        self.settled = True
        for measured in _SETTLINGS:
            self.embeddings = self.quantizer.settled_embeddings(exact, lmbda)
            found = self.quantizer.found_bytes(
                self.stored_tensors(exact=False),
                grids=self._grids(),
                coded_bytes=self.coded_bytes if measured else None,
            )
            self.quantizer.correct(tensors, found, aim, grids=self._grids())
        self.embeddings = self.quantizer.settled_embeddings(exact, lmbda)

    def _keeps(self, tensors: list[NDArray[np.float32]], *, measured: bool) -> bool:
        """Tell whether the tensors take the bytes, nearly, with the steps they were rounded to.

        Another step would stretch all weights that lie on multiples of this one: half a per cent
        costs as much as the whole rounding.
        """
        coded_bytes = self.coded_bytes if measured else None
        found = self.quantizer.found_bytes(tensors, grids=self._grids(), coded_bytes=coded_bytes)
        return _LEAST * self.num_bytes <= found <= self.num_bytes

    def _round_weights(self) -> None:
        """Round dense layers' weights with feedback, to steps with which they meet the bytes."""
        indices = self._spread(_MOMENT_FRAMES).to(self.device)
        runs = [partial(self._run, indices[i : i + 1]) for i in range(len(indices))]
        rounding = WeightRounding(self.network, runs)
        before = self.stored_tensors(exact=False)
        aim = _AIM * self.num_bytes
        tried: list[tuple[float, float]] = []  # bytes, or less by how many they are too many; step
        for _ in range(_ROUNDINGS):
            rounding.apply(self.quantizer.steps)
            found = self.quantizer.found_bytes(
                self.stored_tensors(exact=False), grids=self._grids(), coded_bytes=self.coded_bytes
            )
            if abs(found - aim) <= _NEAR * self.num_bytes:
                return
            over = found - self.num_bytes
            tried.append((found if over <= 0 else -over, self.quantizer.global_step))
            if not self.quantizer.correct(before, found, aim, grids=self._grids()):
                break
        self.quantizer.take_global_step(before, max(tried)[1])
        rounding.apply(self.quantizer.steps)

    @torch.no_grad()
    def _run(self, index: Tensor) -> None:
        """Compute a frame, exactly."""
        embeddings = None if self.embeddings is None else self.embeddings[index]
        with fp32_arithmetic():
            self.network(index, embeddings)

    def _meet(
        self,
        quantizer: Quantizer,
        tensors: list[NDArray[np.float32]],
        *,
        measured: bool,
        share: float = 1.0,
    ) -> None:
        quantizer.meet(
            tensors,
            share * self.num_bytes,
            grids=self._grids(),
            coded_bytes=self.coded_bytes if measured else None,
        )

    def _embedding_tensors(self) -> range:
        """Where the embeddings' channels are among the stored tensors."""
        num_parameters = len(list(self.network.decoder.parameters()))
        channels = 0 if self.embeddings is None else self.embeddings.shape[1]
        return range(num_parameters, num_parameters + channels)

    def _grids(self) -> list[Grid | None]:
        """Of each stored tensor that runs over frames and is coded so, the grid."""
        grid: Grid | None = None
        if self.embeddings is not None and self.config.codes_in_context:
            num_frames, _, rows, columns = self.embeddings.shape
            grid = num_frames, rows, columns
        channels = self._embedding_tensors()
        return [*([None] * channels.start), *([grid] * len(channels))]

    def _count_in_steps_of(self, quantizer: Quantizer) -> None:
        if self.embedding_rate is not None and self.embeddings is not None:
            self.embedding_rate.take_steps(quantizer, self.embeddings)

    def _some_frames(self) -> tuple[Tensor, Tensor]:
        """Return a few frames `(B, 3, H, W)` and their indices `(B,)`."""
        indices = self._spread(_SENSITIVITY_FRAMES)
        return frame_batch(self.frames, indices, self.device), indices

    def _spread(self, count: int) -> Tensor:
        """Return the indices of up to `count` frames, evenly spread."""
        return torch.linspace(0, len(self.frames) - 1, min(count, len(self.frames))).long()
