"""What a fit would decode to if it ended now: its PSNR through the quantiser, in 8 bits.

In: a network, its quantiser, and the frames. Out: the mean over frames that the decoder would have.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call

from inrcodec.fitting._precision import fp32_arithmetic
from inrcodec.fitting._qat import Quantizer
from inrcodec.metrics import psnr_db
from inrcodec.models import Network


@torch.no_grad()
def coded_psnr_db(
    network: Network, quantizer: Quantizer, frames: Tensor, embeddings: Tensor | None
) -> float:
    """Return the mean RGB PSNR in dB of all frames, computed in fp32 as the decoder does.

    Args:
        network: on its device.
        quantizer: with the steps to come.
        frames: `(N, 3, H, W)` uint8.
        embeddings: `(N, C, h, w)` float32 of all frames, or None if the network has none.
    """
    device = next(network.parameters()).device
    weights = quantizer.decoder_weights(network)
    if embeddings is not None:
        embeddings = quantizer.embeddings(embeddings)
    psnrs = []
    with fp32_arithmetic():
        for i in range(len(frames)):
            index = torch.tensor([i], device=device)
            one = None if embeddings is None else embeddings[index]
            x_hat = functional_call(network, weights, (index, one))  # (1, 3, H, W)
            decoded = torch.round(x_hat.float() * 255).clamp(0, 255).to(torch.uint8)
            psnrs.append(psnr_db(decoded, frames[i : i + 1].to(device)))
    return float(torch.cat(psnrs).mean())
