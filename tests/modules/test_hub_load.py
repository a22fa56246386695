"""Plain tensorflow_hub loads our modules, for those who use them without galsim_hub."""

import numpy as np
import pytest

from galsim_hub.registries import bundled_root
from galsim_hub.spec import read_spec

GENERATORS = sorted(
    card.parent
    for card in bundled_root().glob("*/*/card.md")
    if "generate" in read_spec(card.parent).signatures
)

# tensorflow_hub 0.16.1 imports pkg_resources, and on the way Keras 2 code that is not ours.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:pkg_resources")


@pytest.fixture(scope="module")
def tensorflow_hub():
    import tensorflow_hub  # here, not above: it takes seconds that a mere collection need not wait

    return tensorflow_hub


def test_loaded_module_offers_the_signatures_of_its_card(tensorflow_hub, module_folder):
    loaded = tensorflow_hub.load(str(module_folder))
    assert set(loaded.signatures) == set(read_spec(module_folder).signatures)


def test_loaded_generator_takes_arrays_by_name(tensorflow_hub, module_folder, model, catalog):
    columns = {name: np.asarray(column, np.float32) for name, column in catalog.items()}
    noise = np.zeros((7, model.spec.random_size), np.float32)
    generate = tensorflow_hub.load(str(module_folder)).signatures["generate"]
    flux = generate(**columns, random_normal=noise)["image"].numpy().sum(axis=(1, 2))
    # The analytic module draws the flux of each magnitude; float32 sums keep five digits.
    np.testing.assert_allclose(flux, 10 ** (-0.4 * (catalog["mag_auto"] - 25.94)), rtol=1e-5)


@pytest.mark.parametrize("folder", GENERATORS, ids=lambda path: f"{path.parent.name}@{path.name}")
def test_loaded_generator_draws_the_golden_images(tensorflow_hub, folder):
    golden = read_spec(folder).golden
    with np.load(folder / golden["file"]) as arrays:
        expected = arrays["generate/out/image"]
        prefix = "generate/in/"
        inputs = {key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)}
    images = tensorflow_hub.load(str(folder)).signatures["generate"](**inputs)["image"].numpy()
    tolerance = golden["relative_tolerance"] * expected.max()
    np.testing.assert_allclose(images, expected, atol=tolerance, rtol=0)
