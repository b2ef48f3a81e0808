"""What a fit would decode to if it ended now: its PSNR through the quantiser.

In: a network, its quantiser, and frames. Out: the mean over frames that the decoder would have, or
what the rounding takes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call

from inrcodec.fitting._losses import psnr_of_mse
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


@torch.no_grad()
def rounding_loss_db(
    network: Network, quantizer: Quantizer, batch: Tensor, indices: Tensor
) -> float:
    """Return by how much the mean RGB PSNR of some frames falls when all is rounded at once.

    Args:
        network: on its device, with its encoder.
        quantizer: with the steps to come.
        batch: `(B, 3, H, W)` float32 in [0, 1].
        indices: `(B,)` which frames those are.
    """
    indices = indices.to(batch.device)
    embeddings = None if network.encoder is None else network.embed(batch, indices).float()
    exact = network(indices, embeddings)
    if embeddings is not None:
        embeddings = quantizer.embeddings(embeddings)
    weights = quantizer.decoder_weights(network)
    rounded = functional_call(network, weights, (indices, embeddings))
    exact_db, rounded_db = (
        psnr_of_mse(torch.mean((x_hat.float() - batch) ** 2, dim=(1, 2, 3))).mean()
        for x_hat in (exact, rounded)
    )
    return float(exact_db - rounded_db)
