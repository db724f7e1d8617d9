"""The stored draws are what they are said to be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special
from scipy.stats import qmc

from lab.measure.draws import DRAWS


def test_the_draws_are_halton_points_as_normal_numbers():
    assert DRAWS == pytest.approx(np.round(special.ndtri(qmc.Halton(12, seed=1).random(128)), 3))
    columns = np.array(DRAWS)
    assert columns.shape == (128, 12)
    assert abs(columns.mean(axis=0)).max() < 0.05 and abs(columns.std(axis=0) - 1).max() < 0.1
