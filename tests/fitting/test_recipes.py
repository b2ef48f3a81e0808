"""The recipes: ours, and one published for every network of the zoo."""

from __future__ import annotations

import pytest

from inrcodec import models
from inrcodec.fitting import RECIPES, FitConfig, recipe_config, recipe_epochs


def test_every_network_has_every_recipe() -> None:
    for model in models.names():
        for recipe in RECIPES:
            assert recipe_config(recipe, model, epochs=2).epochs == 2


def test_our_recipes_are_the_same_for_every_network() -> None:
    assert recipe_config("ms-ssim", "hnerv", epochs=3) == FitConfig(epochs=3, loss="l1_ms_ssim")
    for name, decay in (("muon", 0.4), ("soap", 0.0)):
        expected = FitConfig(epochs=3, optimizer=name, weight_decay=decay)
        assert recipe_config(name, "hnerv", epochs=3) == expected
        assert recipe_config(name, "hnervpp", epochs=3).weight_decay == decay
    of_ours = recipe_config("muon", "hnervpp", epochs=3)
    assert (of_ours.loss, of_ours.gradient_clip, of_ours.optimizer) == ("log_l2", 0.0, "muon")
    assert recipe_config("default", "hnervpp", epochs=3) == of_ours
    assert recipe_config("default", "nerv", epochs=3) == FitConfig(epochs=3)
    assert recipe_epochs("default", "nerv") is None


def test_papers_prescribe_the_budget_unless_one_is_given() -> None:
    assert recipe_config("paper", "nerv").epochs == recipe_epochs("paper", "nerv") == 300
    assert recipe_config("paper", "ffnerv").epochs == 600
    timed = recipe_config("paper", "hnerv", seconds=9.0)
    assert (timed.epochs, timed.seconds) == (None, 9.0)
    with pytest.raises(ValueError, match="set one of the two"):
        recipe_config("default", "nerv")


@pytest.mark.parametrize("model", ["nerv", "nervpp", "nervpp-repo", "enerv"])
def test_recipe_of_nerv(model: str) -> None:
    assert recipe_config("paper", model) == FitConfig(
        epochs=300,
        batch_size=1,
        optimizer="adam",
        betas=(0.5, 0.999),
        learning_rate=5e-4,
        warmup=0.2,
        warmup_start=0.1,
        final_factor=0.0,
        gradient_clip=0.0,
        loss="l1_ssim",
    )


def test_recipe_of_hnerv_has_pairs_of_frames() -> None:
    config = recipe_config("paper", "hnerv")
    assert (config.batch_size, config.learning_rate, config.loss) == (2, 1e-3, "l2")
    assert (config.warmup, config.warmup_start, config.final_factor) == (0.1, 0.1, 0.0)
    assert recipe_config("paper", "hnervpp") == config


def test_recipe_of_hinerv_clips_and_ends_above_zero() -> None:
    config = recipe_config("paper", "hinerv")
    assert (config.learning_rate, config.gradient_clip) == (2e-3, 1.0)
    assert config.learning_rate * config.warmup_start == pytest.approx(2e-5)
    assert config.learning_rate * config.final_factor == pytest.approx(2e-5)
    assert config.loss == "l1_ms_ssim_5"


def test_recipes_of_the_boosted_networks_take_adan() -> None:
    config = recipe_config("paper", "hnerv-boost")
    assert (config.optimizer, config.betas) == ("adan", (0.98, 0.92, 0.99))
    assert (config.learning_rate, config.loss) == (3e-3, "l1_ms_ssim_fft")
    assert recipe_config("paper", "nerv-boost") == config
    assert recipe_config("paper", "enerv-boost").learning_rate == 1.5e-3


def test_what_is_ours_stays() -> None:
    ours, theirs = recipe_config("default", "nerv", epochs=1), recipe_config("paper", "nerv")
    assert theirs.qat_fraction == ours.qat_fraction > 0
    assert theirs.precision == "auto"


def test_settings_override_a_recipe() -> None:
    config = recipe_config("paper", "hnerv", batch_size=4, seed=7)
    assert (config.batch_size, config.seed, config.learning_rate) == (4, 7, 1e-3)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "adan", "muon", "soap"])
@pytest.mark.parametrize("model", ["hnervpp", "hnerv-boost"])
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_another_optimizer_needs_no_other_setting(optimizer: str, model: str, recipe: str) -> None:
    config = recipe_config(recipe, model, optimizer=optimizer, epochs=1)
    assert config.optimizer == optimizer


def test_what_another_optimizer_takes_of_a_recipe_stays() -> None:
    assert recipe_config("paper", "nerv", optimizer="muon", epochs=1).betas == (0.5, 0.999)
    assert recipe_config("default", "hnervpp", optimizer="adamw", epochs=1).weight_decay == 0.4
    with pytest.raises(ValueError, match=r"weight_decay is 0.4, must be 0 for adam"):
        recipe_config("default", "hnervpp", optimizer="adam", weight_decay=0.4, epochs=1)


def test_unknown_names_list_what_there_is() -> None:
    known = "must be one of default, ms-ssim, muon, soap, paper"
    with pytest.raises(ValueError, match=f"recipe is 'fast', {known}"):
        recipe_config("fast", "nerv", epochs=3)
    with pytest.raises(ValueError, match="none is published for 'mine', only for nerv, "):
        recipe_config("paper", "mine", epochs=3)
