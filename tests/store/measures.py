"""Measure functions for tests, and what cannot be one."""

import functools

import jax
import numpy as np

from ntkcheck.measurement import Measurement, Series
from ntkcheck.stats import Estimate


def drawn(key, i):
    """A number that depends on the key and the parameter."""
    value = float(jax.random.normal(key)) + i
    return [Measurement("number", Estimate(value, 0.0, 0), "drawn"), series(value)]


def series(value):
    places = np.arange(3)
    return Measurement("curve", Series(value * places, 0.1 * places, 5, places), "drawn")


def applied(key, function, at):
    """A parameter that is a function."""
    return [Measurement("applied", Estimate(float(function(at)), 0.0, 0), "closed form")]


def placed(key, device):
    """A number that is measured on a device of a platform."""
    return [Measurement("number", Estimate(float(jax.random.normal(key)), 0.0, 0), f"drawn on {device}")]


def failing(key, i):
    raise ArithmeticError("broke down")


def twice(x):
    return 2.0 * x


def thrice(x):
    return 3.0 * x


def closure():
    def inner(key):
        return []

    return inner


class Class:
    def method(self, key):
        return []


unnamed = lambda key: []  # noqa: E731
partial = functools.partial(drawn, i=1)
compiled = jax.jit(twice)
