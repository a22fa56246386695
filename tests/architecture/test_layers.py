"""The import contracts of pyproject.toml hold, and each notices when it is broken."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    """Check every contract against the code in `tree`."""
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache"], cwd=tree, capture_output=True, text=True, check=False
    )


@pytest.fixture
def copied_tree(tmp_path):
    skipped = shutil.ignore_patterns("__pycache__")
    for package in ("galsim_hub", "training"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_every_contract_is_kept(copied_tree):
    result = lint_imports(copied_tree)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("errors", "import galsim_hub.model", "lower layers only"),
        ("spec", "import galsim_hub.registry", "lower layers only"),
        ("backend/__init__", "import galsim_hub.profile", "lower layers only"),
        ("model", "import galsim_hub.figures", "lower layers only"),
        ("new_module", "", "lower layers only"),
        ("model", "import galsim_hub.scale", "lower layers only"),
        ("config", "import training.data", "never imports the training code"),
        ("model", "import tensorflow", "know an inference engine"),
        ("model", "import tensorflow_hub", "know an inference engine"),
        ("model", "import onnxruntime", "know an inference engine"),
        ("particle_mesh/lpt", "import galsim_hub.model", "lower layers only"),
        ("profile", "def draw():\n    import matplotlib", "knows matplotlib"),
    ],
)
def test_planted_violation_is_caught(copied_tree, module, statement, contract):
    with (copied_tree / f"galsim_hub/{module}.py").open("a") as source:
        source.write(f"\n{statement}\n")
    result = lint_imports(copied_tree)
    assert result.returncode == 1, result.stderr
    broken = [line for line in result.stdout.splitlines() if "BROKEN" in line]
    assert [line for line in broken if contract in line], result.stdout
