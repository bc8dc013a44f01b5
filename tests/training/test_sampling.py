"""Which crops a batch is made of: by the shares of their profiles."""

from __future__ import annotations

import numpy as np
import pytest
from vcsharp_training import sampling, validate
from vcsharp_training.bank import Bank
from vcsharp_training.errors import RecipeError
from vcsharp_training.recipe import PhaseSettings

PROFILES = ["half"] * 30 + ["soft"] * 20 + ["clean"] * 10
LEVELS = {"half": 50, "soft": 100, "clean": 200}


@pytest.fixture
def crops() -> Bank:
    """Crops whose grey tells their profile."""
    levels = np.array([LEVELS[name] for name in PROFILES], np.uint8)
    planes = np.broadcast_to(levels[:, None, None], (len(levels), 16, 16)).copy()
    return Bank(planes, planes, np.array(PROFILES), np.zeros(len(levels), bool))


def _drawn(crops: Bank, **shares: float) -> dict[str, float]:
    """How often crops of each profile came, of 4000."""
    phase = PhaseSettings(batch=4000, patch_px=16, shares=shares)
    rows = crops.rows(held_out=False)
    pairs = sampling.batch(crops, rows, phase, (3,), shares=sampling.shares(crops, rows, phase))
    seen = (pairs.sharp[:, 0, 0, 0] * 255).round().int().numpy()
    return {name: float((seen == level).mean()) for name, level in LEVELS.items()}


def test_crops_are_drawn_evenly_where_nothing_else_is_said(crops):
    assert _drawn(crops) == pytest.approx({"half": 1 / 2, "soft": 1 / 3, "clean": 1 / 6}, abs=0.04)


def test_a_share_of_a_profile_says_how_often_its_crops_are_drawn(crops):
    found = _drawn(crops, soft=3.0, clean=0.0)
    assert found["clean"] == 0
    assert found["soft"] / found["half"] == pytest.approx(3 * 20 / 30, rel=0.15)


def test_shares_of_what_the_bank_lacks_or_of_nothing_are_refused(crops):
    rows = crops.rows(held_out=False)
    with pytest.raises(RecipeError, match=r"no crops of profile 'sofd' .* clean, half, soft$"):
        sampling.shares(crops, rows, PhaseSettings(shares={"sofd": 1.0}))
    nothing = PhaseSettings(shares={"half": 0.0, "soft": 0.0, "clean": 0.0})
    with pytest.raises(RecipeError, match="all shares are 0"):
        sampling.shares(crops, rows, nothing)


def test_the_best_weights_are_chosen_by_what_is_trained_for():
    found = {"half": 1.0, "soft": 2.0, "still": -3.0, "clean": 50.0}
    assert validate.summary_db(found) == pytest.approx(0.0)
    assert validate.summary_db(found, {"still": 0.0}) == pytest.approx(1.5)
    assert validate.summary_db(found, {"still": 0.0, "soft": 3.0}) == pytest.approx(1.75)
    lacking = found | {"clean": validate.CLEAN_WANTED_DB - 2}
    assert validate.summary_db(lacking, {"still": 0.0}) == pytest.approx(-0.5)
