"""The fitted law draws the marginals and the dependences of the conditions it was fitted to."""

import numpy as np
import pytest

from galsim_hub.population import SCORES
from training.models.conditions import fit_population, quantile_tables
from training.validation.distances import ks


def make_conditions(count: int, seed: int) -> np.ndarray:
    """Draw sizes that fall with magnitude, a hard magnitude limit, and redshifts in two heaps."""
    rng = np.random.default_rng(seed)
    magnitude = 25.2 - rng.exponential(1.2, count)
    radius = np.exp(2.0 - 0.25 * (magnitude - 23.0) + 0.3 * rng.normal(size=count))
    redshift = np.where(rng.uniform(size=count) < 0.3, 0.3, 1.0) * rng.lognormal(0, 0.2, count)
    return np.stack([radius, magnitude, redshift], axis=1)


@pytest.fixture(scope="module")
def law():
    return fit_population(make_conditions(4000, 1), components=8)


def test_drawn_marginals_and_limits_are_the_training_sets(law):
    drawn = law.sample(np.random.default_rng(2).normal(size=(8000, 4)), {})
    fresh = make_conditions(8000, 3)
    # Two samples of 8,000 and a fit to 4,000: noise 0.02 and 0.02.
    assert all(ks(d, f) < 0.035 for d, f in zip(drawn.T, fresh.T, strict=True))
    assert drawn[:, 1].max() <= 25.2


def test_sizes_given_a_magnitude_are_those_of_galaxies_of_that_magnitude(law):
    given = np.full(3000, 24.0)
    drawn = law.sample(np.random.default_rng(2).normal(size=(3000, 4)), {1: given})
    log_radius = np.log(drawn[:, 0])
    assert log_radius.mean() == pytest.approx(2.0 - 0.25, abs=0.03)
    assert log_radius.std() == pytest.approx(0.3, abs=0.03)


def test_support_of_fresh_galaxies_is_uniform(law):
    support = law.support(make_conditions(4000, 5))
    assert ks(support, np.linspace(0, 1, 4001)) < 0.05


def test_fit_is_the_same_every_time(law):
    again = fit_population(make_conditions(4000, 1), components=8)
    np.testing.assert_array_equal(again.means, law.means)


def test_tables_rise_even_where_galaxies_share_a_value():
    conditions = np.round(make_conditions(1000, 1), 1)
    tables = quantile_tables(conditions)
    assert tables.shape == (3, len(SCORES))
    assert np.all(np.diff(tables, axis=1) > 0)
    np.testing.assert_allclose(
        tables[:, [0, -1]].T, [conditions.min(0), conditions.max(0)], rtol=1e-6
    )
