"""Rows shared out among several devices, simulated on the CPU in a process of their own."""

import subprocess
import sys

import pytest

SCRIPT = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=4 --xla_cpu_multi_thread_eigen=false"
import jax, numpy as np
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
from ntkcheck.empirical import empirical_ntk
from ntkcheck.empirical.ntk import _kernel, _mesh
from ntkcheck.empirical.rows import Split
from tests.empirical.networks import CASES, values

devices = jax.devices()
assert len(devices) == 4
for name, coupled in [("batch norm", True), ("ten outputs", False)]:
    apply, arguments = CASES[name].apply, values(CASES[name])
    reference = np.asarray(empirical_ntk(apply, *arguments, batch_coupled=coupled))
    kernels = [empirical_ntk(apply, *arguments, batch_coupled=coupled, devices=some) for some in (devices, devices[3:])]
    kernels.append(empirical_ntk(apply, *arguments, batch_coupled=coupled, devices=devices, memory="1GB"))
    kernels.append(_kernel(apply, *arguments, None, coupled, Split(1, 1), _mesh(devices[:3]), "highest")[0])
    print(len(kernels[0].sharding.device_set))
    for kernel in kernels:
        print(np.linalg.norm(np.asarray(kernel) - reference) / np.linalg.norm(reference))
"""


@pytest.fixture(scope="module")
def printed():
    """For two networks the devices that hold the kernel, and the differences from one device.

    On four devices, on the last, on four within a budget, and on three in turns of one row each.
    """
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    numbers = [float(line) for line in done.stdout.splitlines()]
    return numbers[:5], numbers[5:]


def test_kernel_on_several_devices_is_that_on_one(printed):
    for devices, *differences in printed:
        assert devices == 4
        assert len(differences) == 4
        # Rounding, as in test_ntk.py; rows of a device left out or doubled would show at 1e-2 or more.
        assert max(differences) < 1e-10
