"""What embeddings cost in the file, as a term of the loss, so that they change no more than pays.

In: the embeddings of a batch and of the frames beside them. Out: bits of the changes from frame to
frame, over those of the file. For squared errors the weight of the term is the slope of
ln(MSE) over ln(bytes) at which a bit is worth what it buys: 0.56 where twice the bytes are worth
1.7 dB (NVRC, arXiv 2409.07414, minimises distortion and rate of all it stores).
"""

from __future__ import annotations

import torch
from torch import Tensor

from inrcodec.fitting._qat import Quantizer


class EmbeddingRate:
    """The rate of a clip's embeddings, a batch at a time.

    A value changed by x, in units of its step, counts log2(1 + |x|) bits: what a code takes that
    knows the magnitude to be expected, but for a constant.

    Args:
        weight: of the embeddings' bits, as a part of the file's.
        num_bytes: of the file.
    """

    def __init__(self, weight: float, num_bytes: float) -> None:
        self.weight = weight
        self.num_bits = 8 * num_bytes
        self.steps: Tensor | None = None  # (1, C, 1, 1); nothing counts before there are any

    def take_steps(self, quantizer: Quantizer, stored: Tensor) -> None:
        """Count in the quantiser's steps from now on; `stored` as below."""
        steps = torch.tensor(quantizer.steps[-stored.shape[1] :], device=stored.device)
        if self.steps is None:
            self.steps = steps.view(1, -1, 1, 1)
        else:
            self.steps.copy_(steps.view(1, -1, 1, 1))  # a recorded step reads them there

    def __call__(self, embeddings: Tensor, indices: Tensor, stored: Tensor) -> Tensor:
        """Return the term for a batch; its gradient is that of the whole clip's, expected.

        Args:
            embeddings: of the batch, `(B, C, h, w)`.
            indices: `(B,)` which frames these are.
            stored: of all frames, `(N, C, h, w)` float32, as last computed.
        """
        if self.steps is None:
            return embeddings.new_zeros(())
        # The frames beside are taken as they are: each has its own turn.
        before, after = (indices - 1).clamp(min=0), (indices + 1).clamp(max=len(stored) - 1)
        beside = torch.stack((stored[before], stored[after]))
        changes = (embeddings.float() - beside) / self.steps  # (2, B, C, h, w)
        # The first and the last frame have one beside them, and no change from what they were.
        exist = torch.stack((before < indices, after > indices)).view(2, -1, 1, 1, 1)
        bits = (torch.log2(1 + changes.abs()) * exist).sum()
        return bits * (self.weight * len(stored) / (len(indices) * self.num_bits))
