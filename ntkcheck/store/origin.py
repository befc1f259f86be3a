"""Where a number comes from: versions, device, number format, revision and code."""

import functools
import importlib.metadata
import platform
import subprocess
from pathlib import Path

import jax
import jax.numpy as jnp

from ntkcheck.store.code import code_of

PACKAGES = ("ntkcheck", "jax", "jaxlib", "equinox", "optax", "numpy", "scipy")


def provenance(function: str) -> dict[str, str]:
    """What a function's numbers come from, here and now.

    Args:
        function: its reference.

    Returns:
        Versions of Python and of the packages that compute, platform, device (its kind), dtype (JAX's default float),
        matmul_precision, revision (of the checkout that the package lies in), and code (`code_of`).

    Raises:
        ValueError: where the function's module or file does not exist.
    """
    return {
        **_of_process(),
        "dtype": jnp.result_type(float).name,
        "matmul_precision": jax.config.jax_default_matmul_precision or "default",  # pyright: ignore[reportAttributeAccessIssue]
        "code": code_of(function),
    }


@functools.cache
def _of_process() -> dict[str, str]:
    """What cannot change while the process runs."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "platform": f"{platform.system()} {platform.machine()}",
        "device": jax.devices()[0].device_kind,
        "revision": _revision(),
    }


def _revision() -> str:
    """`git describe` of the checkout that the package lies in, with `-dirty` for local changes."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "not a git checkout"
