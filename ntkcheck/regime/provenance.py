"""Where a result comes from: versions, device, revision."""

import importlib.metadata
import platform
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp

PACKAGES = ("ntkcheck", "jax", "jaxlib", "numpy", "scipy")


def provenance() -> dict[str, str]:
    """Versions of what computes, the device, the number format, and the git revision where the package lies in a checkout."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": jax.devices()[0].device_kind,
        "dtype": jnp.result_type(float).name,  # of the networks; theory is always in float64
        "revision": _revision(),
    }


def _revision() -> str:
    """`git describe` of the checkout that the package lies in, with `-dirty` for local changes."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "not a git checkout"
