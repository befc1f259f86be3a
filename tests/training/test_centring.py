"""The two routes of centring in training: what each does to a step, and that they agree where they should."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ntkcheck.training import centring
from ntkcheck.training.centring import OPTIMIZERS, centred, centred_gradients, centred_weights, centring_routes
from ntkcheck.training.dense import init


def params(seed=0):
    return init(jax.random.key(seed), (6, 5, 3), scaled=False)


def routes(steps=4, networks=2, **changes):
    options = {"optimizer": "sgd", "centred_start": True, "batch_size": 16, "seed": 0} | changes
    found = centring_routes(jax.random.key(0), steps=steps, networks=networks, **options)
    return {m.quantity: m.estimate.value for m in found}


def test_sgd_adds_the_decay_before_the_momentum():
    optimizer, weights = OPTIMIZERS["sgd"](), np.array([1.0, -2.0])
    memory, velocity, found = optimizer.init(jnp.asarray(weights)), np.zeros(2), jnp.asarray(weights)
    for gradient in np.array([[0.5, 1.0], [-1.0, 0.25], [2.0, 0.0]]):
        updates, memory = optimizer.update(jnp.asarray(gradient), memory, found)
        found = optax.apply_updates(found, updates)
        velocity = 0.9 * velocity + gradient + 5e-4 * weights
        weights = weights - 0.05 * velocity
    np.testing.assert_allclose(found, weights, rtol=1e-15, atol=1e-15)  # a few roundings


def test_each_route_centres_what_it_says():
    start, gradients = params(), params(1)
    for route in (centred_gradients, centred_weights):
        optimizer = route(optax.sgd(0.1))
        updates, _ = optimizer.update(gradients, optimizer.init(start), start)
        after = optax.apply_updates(start, updates)
        for layer in range(2):
            step = np.asarray(start.weights[layer] - 0.1 * gradients.weights[layer])
            kept = np.asarray(start.weights[layer]).mean(0) if route is centred_gradients else 0
            np.testing.assert_allclose(after.weights[layer], step - step.mean(0) + kept, atol=1e-15)
        np.testing.assert_allclose(after.shifts[0], start.shifts[0] - 0.1 * gradients.shifts[0], atol=1e-15)


def test_centring_takes_the_mean_of_incoming_weights():
    weights = centred(params()).weights[0]
    np.testing.assert_allclose(weights.sum(0), 0, atol=1e-15)
    assert np.abs(weights.sum(1)).max() > 0.1  # power: not that of outgoing ones


def test_distance_and_mean_are_those_of_their_definitions():
    one = params()
    other = one._replace(weights=tuple(1.5 * w for w in one.weights))
    assert float(centring.distance(one, other)) == pytest.approx(0.5, rel=1e-14)
    shifted = centred(one)._replace(weights=(jnp.ones((6, 5)), jnp.zeros((5, 3)).at[0, 1].set(2.0)))
    # The first layer's means are 1, the second's 2/5 at the most; 34 is the sum of squares of the 45 weights.
    assert float(centring.largest_mean(shifted)) == pytest.approx((45 / 34) ** 0.5, rel=1e-14)


def test_the_routes_agree_for_sgd_from_centred_weights_alone():
    found = routes()
    assert found["distance"].shape == (2,)
    # Roundings of 1e-16 a step, in directions that gradients amplify little in four steps.
    assert found["distance"].max() < 1e-13
    assert found["mean_of_weights"].max() < 1e-14
    assert routes(optimizer="adam")["distance"].min() > 1e-4
    uncentred = routes(centred_start=False)
    assert uncentred["distance"].min() > 1e-2
    assert uncentred["mean_of_weights"].min() > 1e-2


def test_a_route_that_does_not_centre_is_seen(monkeypatch):
    monkeypatch.setattr(centring, "centred_gradients", lambda optimizer: optimizer)
    assert routes(steps=3)["distance"].min() > 1e-6  # a program of its own: the number of steps is part of it
