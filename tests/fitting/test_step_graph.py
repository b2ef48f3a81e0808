"""Steps as CUDA graphs: the same fit as kernel by kernel, sooner; and what makes it possible."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from inrcodec.fitting import FitConfig, InterruptFlag, fit, recipe_config
from inrcodec.fitting._loop import _Fit
from inrcodec.fitting._muon import Muon
from inrcodec.fitting._optimizers import build_optimizers, is_capturable, load_optimizer
from inrcodec.fitting._step_graph import StepGraph
from inrcodec.models import build, entry, for_budget, names

CPU = torch.device("cpu")
RECORDABLE = [name for name in names() if entry(name).config_class.is_recordable]
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def clip(num_frames: int = 5) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    frames = [
        torch.stack(
            (torch.sin((x + 0.3 * i) / 9), torch.cos((y - 3 * i) / 7), torch.sin((x + y) / 8))
        )
        for i in range(num_frames)
    ]
    return (127.5 + 100 * torch.stack(frames)).to(torch.uint8)


def made(model: str = "hnervpp", **settings: Any) -> Any:
    torch.manual_seed(0)
    return build(model, for_budget(model, 12_000, height=48, width=64, num_frames=5, **settings))


def run_of(config: FitConfig, *, model: str = "hnervpp", device: torch.device) -> _Fit:
    return _Fit(clip(), made(model), config, num_bytes=9000, device=device)


def curve_of(config: FitConfig, *, model: str, graph: bool) -> list[float]:
    """Errors of the steps of a fit on CUDA, into its quantised phase."""
    run = run_of(config, model=model, device=torch.device("cuda"))
    assert isinstance(run.graph, StepGraph)
    if not graph:
        run.graph = None
    errors = []
    while (progress := run.progress()) < 1:
        run.meet_rate(progress)
        run.measure_rounding(progress)
        run.set_learning_rate(progress)
        run.step()
        errors.append(float(run.mse))
    assert run.rate.quantizes
    return errors


@needs_cuda
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("model", RECORDABLE)
def test_a_graph_fits_as_its_kernels_do(model: str, precision: str) -> None:
    # Of 5 frames in pairs: an epoch's last batch has one, which no graph is recorded for.
    config = recipe_config("default", model, epochs=20, precision=precision, batch_size=2)
    with_graph = curve_of(config, model=model, graph=True)
    without = curve_of(config, model=model, graph=False)
    assert len(with_graph) == 60
    # The first three steps are none of the graph's.
    assert with_graph[:8] == pytest.approx(without[:8], rel=1e-2)
    # Sums come in any order on a GPU, and fits drift apart.
    assert with_graph[-1] == pytest.approx(without[-1], rel=0.15)
    assert with_graph[-1] < with_graph[2]


@needs_cuda
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "muon"])
def test_a_graph_follows_the_learning_rate(optimizer: str) -> None:
    config = recipe_config("default", "hnerv", epochs=20, optimizer=optimizer)
    run = run_of(config, model="hnerv", device=torch.device("cuda"))
    for _ in range(4):
        run.set_learning_rate(0.5)
        run.step()
    run.set_learning_rate(1.0)
    for optimiser in run.optimizers:
        for group in optimiser.param_groups:
            group["lr"].fill_(0.0)
    before = {name: p.detach().clone() for name, p in run.network.named_parameters()}
    run.step()
    assert all(torch.equal(p, before[name]) for name, p in run.network.named_parameters())


@needs_cuda
def test_a_fit_of_a_gpu_goes_on_on_a_cpu_and_back() -> None:
    config = FitConfig(epochs=20, batch_size=2, optimizer="muon", precision="fp32")
    state: dict[str, Any] | None = None
    for device, stop in (("cuda", True), ("cpu", True), ("cuda", False)):
        saved: list[dict[str, Any]] = []
        result = fit(
            clip(),
            made(),
            config,
            num_bytes=9000,
            device=torch.device(device),
            state=state,
            save=saved.append,
            interrupt=InterruptFlag(requested=stop),
        )
        state = saved[-1] if saved else None
    assert result is not None
    assert result.steps == 60


@needs_cuda
@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "soap"},
        {"optimizer": "adan", "betas": (0.98, 0.92, 0.99)},
        {"ema": 0.1},
        {"quantizer": "entropy"},
        {"rounding": "feedback"},
        {"quantizer": "range", "rounding": "nearest"},
        {"loss": "l1_ms_ssim_fft", "batch_size": 1},
        {"loss": "l1_ssim", "precision": "tf32"},
    ],
)
def test_whatever_a_fit_is_told_it_runs_on_a_gpu(settings: dict[str, Any]) -> None:
    small = clip() if "ms_ssim" not in settings.get("loss", "") else clip().repeat(1, 1, 4, 4)
    _, _, height, width = small.shape
    torch.manual_seed(0)
    network = build("hnerv", for_budget("hnerv", 15_000, height=height, width=width, num_frames=5))
    config = FitConfig(**{"epochs": 12, "batch_size": 2, **settings})
    result = fit(small, network, config, num_bytes=9000, device=torch.device("cuda"))
    assert result is not None
    assert result.steps == 12 * -(-5 // config.batch_size)


def test_a_cpu_has_no_graph() -> None:
    assert run_of(FitConfig(epochs=1), device=CPU).graph is None


def test_what_counts_or_copies_on_the_host_cannot_be_recorded() -> None:
    assert is_capturable(FitConfig(epochs=1, optimizer="muon"))
    assert not is_capturable(FitConfig(epochs=1, optimizer="soap"))
    assert not is_capturable(FitConfig(epochs=1, quantizer="entropy"))
    assert not is_capturable(FitConfig(epochs=1, loss="l1_ms_ssim"))
    assert not is_capturable(FitConfig(epochs=1, loss="l1_ssim"))
    assert not is_capturable(FitConfig(epochs=1, ema=0.1))


def test_muon_takes_its_rate_from_a_tensor() -> None:
    gradient = torch.randn(12, 20, generator=torch.Generator().manual_seed(1))
    steps = []
    for rate in (0.1, torch.tensor(0.1)):
        weight = torch.nn.Parameter(torch.ones(12, 20))
        weight.grad = gradient
        Muon([weight], lr=rate, weight_decay=0.5).step()
        steps.append(weight.detach())
    torch.testing.assert_close(steps[0], steps[1])
    assert not torch.equal(steps[0], torch.ones(12, 20))


def test_an_optimiser_keeps_its_own_settings_when_it_goes_on() -> None:
    """Those of a checkpoint from a GPU would ask a CPU for what it cannot do."""
    config = FitConfig(epochs=1, optimizer="muon")
    adam, muon = build_optimizers(made(), config, dtype=torch.float32)
    for optimizer in (adam, muon):
        state = optimizer.state_dict()
        for group in state["param_groups"]:
            group["lr"] = torch.tensor(7.0)
            group["capturable"] = True
        before = [dict(group) for group in optimizer.param_groups]
        load_optimizer(optimizer, state)
        for group, kept in zip(optimizer.param_groups, before, strict=True):
            assert group["lr"] == kept["lr"] == config.learning_rate
    assert adam.param_groups[0]["capturable"] is False
