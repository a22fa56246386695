"""Conditions follow the law that a module carries; support falls where it has seen nothing."""

from __future__ import annotations

import shutil

import galsim
import numpy as np
import pytest

import galsim_hub
from galsim_hub.errors import ConditionError, CorruptedModuleError, UnsupportedModuleError
from galsim_hub.population import FILE_NAME, SCORES, Population

N = 2000


@pytest.fixture(scope="module")
def law():
    """Give a law of two Gaussians: size falls with magnitude, redshift is free of both."""
    means = np.array([[0.8, -0.8, 0.0], [-0.8, 0.8, 0.0]])
    covariance = np.array([[0.4, -0.3, 0.0], [-0.3, 0.4, 0.0], [0.0, 0.0, 1.0]])
    edges = [(3.0, 30.0), (19.0, 25.2), (0.1, 4.0)]
    values = np.stack([np.linspace(low, high, len(SCORES)) for low, high in edges])
    law = Population(values, np.array([0.7, 0.3]), means, np.stack([covariance] * 2), np.zeros(2))
    scores = np.random.default_rng(1).normal(size=(5000, 3))
    densities = np.quantile(law.log_density(scores), np.linspace(0, 1, 101))
    return Population(values, law.weights, means, law.covariances, densities)


@pytest.fixture
def lawful(law, module_folder, tmp_path, rehash):
    """Give a model whose module carries that law."""
    folder = tmp_path / "lawful"
    shutil.copytree(module_folder, folder)
    law.save(folder)
    rehash(folder)
    return galsim_hub.GenerativeGalaxyModel(folder)


def test_drawn_conditions_are_a_catalogue_inside_the_trained_range(lawful):
    table = lawful.sample_conditions(N, galsim.BaseDeviate(1))
    assert tuple(table) == lawful.quantities
    for condition in lawful.spec.inputs:
        column = table[condition.name]
        assert column.shape == (N,)
        assert column.min() >= condition.minimum
        assert column.max() <= condition.maximum
    lawful.read_conditions(table)  # a warning would be an error


def test_drawn_conditions_have_the_moments_of_the_mixture(lawful, law):
    table = lawful.sample_conditions(N, galsim.BaseDeviate(1))
    scores = np.stack(
        [np.interp(table[q], v, SCORES) for q, v in zip(table, law.values, strict=True)]
    )
    # Mixture: means 0.7 x 0.8 - 0.3 x 0.8 = 0.32; cov = -0.3 - 0.64 (1 - 0.16). N = 2000: 0.03.
    np.testing.assert_allclose(scores.mean(axis=1), [0.32, -0.32, 0.0], atol=0.1)
    assert np.cov(scores)[0, 1] == pytest.approx(-0.3 - 0.64 * (1 - 0.16), abs=0.1)


def test_same_deviate_gives_the_same_conditions_and_another_others(lawful):
    one, again, other = (
        lawful.sample_conditions(5, galsim.BaseDeviate(seed))["zphot"] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert not np.any(one == other)


def test_given_condition_is_kept_and_the_others_follow_it(lawful):
    bright = lawful.sample_conditions(N, galsim.BaseDeviate(1), mag_auto=20.0)
    faint = lawful.sample_conditions(N, galsim.BaseDeviate(1), mag_auto=np.full(N, 24.0))
    assert np.all(bright["mag_auto"] == 20.0)
    assert np.median(bright["flux_radius"]) > np.median(faint["flux_radius"]) + 3
    assert np.median(bright["zphot"]) == pytest.approx(np.median(faint["zphot"]), abs=0.1)


def test_all_conditions_given_come_back(lawful):
    given = {"flux_radius": [8.0, 9.0], "mag_auto": 23.0, "zphot": [0.5, 0.6]}
    table = lawful.sample_conditions(2, galsim.BaseDeviate(1), **given)
    np.testing.assert_array_equal(table["flux_radius"], [8.0, 9.0])
    np.testing.assert_array_equal(table["mag_auto"], [23.0, 23.0])


def test_no_galaxies_have_no_conditions(lawful):
    assert all(len(column) == 0 for column in lawful.sample_conditions(0).values())


@pytest.mark.parametrize(
    ("given", "match"),
    [({"mag": 24.0}, "mag_auto"), ({"mag_auto": [24.0, 23.0]}, "2 rows for 5")],
)
def test_unusable_given_condition_is_an_error(lawful, given, match):
    with pytest.raises(ConditionError, match=match):
        lawful.sample_conditions(5, **given)


@pytest.mark.parametrize("n", [-1, 2.5, "3", True, None])
def test_a_number_of_galaxies_that_is_none_is_an_error(lawful, n):
    with pytest.raises(ConditionError, match=f"n must be a whole number, 0 or more, got {n!r}"):
        lawful.sample_conditions(n)


def test_support_is_high_in_the_middle_low_at_the_edge_and_zero_outside(lawful, law):
    middle = [law.values[i, len(SCORES) // 2 + shift] for i, shift in enumerate((32, -32, 0))]
    rows = np.array([middle, [4.0, 19.5, 3.9], [8.0, 28.0, 0.7]])
    support = lawful.support(dict(zip(lawful.quantities, rows.T, strict=True)))
    assert support[0] > 0.9
    assert support[1] < 0.05
    assert support[2] == 0.0


def test_module_without_the_law_says_so(model):
    with pytest.raises(UnsupportedModuleError, match=FILE_NAME):
        model.sample_conditions(3)
    with pytest.raises(UnsupportedModuleError, match=FILE_NAME):
        model.support({"flux_radius": 8.0, "mag_auto": 23.0, "zphot": 0.7})


def test_damaged_law_is_reported(module_folder, tmp_path, rehash):
    folder = tmp_path / "damaged"
    shutil.copytree(module_folder, folder)
    (folder / FILE_NAME).write_bytes(b"not a table")
    rehash(folder)
    with pytest.raises(CorruptedModuleError, match="cannot be read"):
        galsim_hub.GenerativeGalaxyModel(folder).sample_conditions(3)
