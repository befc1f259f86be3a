"""Measure functions of the sweep's tests; workers import them by name."""

import os
import signal
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate

LOG = "SWEEP_LOG"


def exact(quantity, value):
    return Measurement(quantity, Estimate(value, 0.0, 0), "closed form")


def double(key, x):
    return [exact("double", 2 * x)]


def draw(key, cell, seconds=0.003):
    """The key's words; a line in the file SWEEP_LOG, if any, written in one call, for every time that it is called."""
    if LOG in os.environ:
        descriptor = os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{cell}\n".encode())
        os.close(descriptor)
    time.sleep(seconds)
    words = np.asarray(jax.random.key_data(key))
    return [exact("first word", float(words[0])), exact("second word", float(words[-1]))]


def matrix(key, size, scale):
    """Sums, products and eigenvalues of a random matrix: what rounds differently if anything does."""
    a = scale * jax.random.normal(key, (size, size))
    product = np.asarray(a @ a.T)
    values = np.linalg.eigvalsh(product)
    return [
        exact("trace", float(np.trace(product))),
        Measurement("eigenvalues", Series(values, np.zeros_like(values), 0, np.arange(size, dtype=float)), "eigvalsh"),
    ]


def configuration(key, cell):
    bits = jnp.finfo(jnp.zeros(()).dtype).bits
    precision = jax.config.jax_default_matmul_precision
    return [exact("bits", float(bits)), exact("is highest", float(precision == "highest"))]


def failing(key, cell):
    if cell == 3:
        raise ValueError("the covariance lost positive definiteness")
    return [exact("cell", cell)]


def exiting(key, x):
    sys.exit("no")


def killing(key, cell):
    if cell == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.002)
    return [exact("cell", cell)]


def uneven(key, cell):
    """One cell in five is a hundred times longer than the others."""
    time.sleep(0.1 if cell % 5 == 4 else 0.001)
    return [exact("cell", cell)]


def apply(key, function, at):
    return [exact("value", function(at))]


def types(key, **parameters):
    """How many of the parameters arrive as Python's own kinds."""
    return [exact("plain", sum(type(value) in (int, float, str, tuple) for value in parameters.values()))]


def returning(key, kind):
    good = exact("value", 1.0)
    return {
        "none": None,
        "number": 1.0,
        "empty": [],
        "twice": [good, good],
        "bare": [good._replace(estimate=1.0)],
        "word": [good._replace(estimate=Estimate("one", 0.0, 0))],
        "shapes": [good._replace(estimate=Series(np.ones(3), np.ones(2), 5, np.ones(3)))],
        "complex": [good._replace(estimate=Series(np.ones(2) * 1j, np.ones(2), 5, np.ones(2)))],
        "jax": [good._replace(estimate=Estimate(jnp.ones(()), jnp.zeros(()), 0)), exact("other", np.float64(2))],
        "jax series": [good._replace(estimate=Series(jnp.arange(3), jnp.zeros(3), 4, jnp.arange(3)))],
    }[kind]


def half(x):
    return x / 2


def failing_once(key, log):
    if not Path(log).exists():
        Path(log).touch()
        raise RuntimeError("the first time")
    return [exact("value", 1.0)]


def named(key, name, cell):
    time.sleep(0.06)
    return [exact("cell", cell)]
