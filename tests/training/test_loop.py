"""The training loop: one step by hand, the order of batches, and what an interruption leaves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ntkcheck.training import checkpoint, loop
from ntkcheck.training.augmentation import SHIFT, shifted_and_flipped
from ntkcheck.training.recipe import Recipe, batches, learning_rates

KEY = jax.random.key(3)
DATA = loop.Data(jax.random.normal(KEY, (20, 5)), jnp.arange(20) % 3)
PARAMS = {"weight": jax.random.normal(jax.random.key(4), (5, 3)), "gain": jnp.ones(3)}


def forward(params, x):
    logits = params["gain"] * (x @ params["weight"])
    return logits, {"output_variance": jnp.var(logits)}


def by_hand(params, recipe, seed, factors, steps):
    """torch.optim.SGD as its documentation has it, with the gradient of the cross-entropy written out."""
    params = {name: np.array(value) for name, value in params.items()}
    buffers = dict.fromkeys(params, 0.0)
    rates, rows = learning_rates(recipe), batches(20, recipe.batch, seed, 0, steps)
    losses = []
    for t in range(steps):
        x, labels = np.asarray(DATA.x)[rows[t]], np.asarray(DATA.labels)[rows[t]]
        z = x @ params["weight"]
        logits = params["gain"] * z
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        losses.append(-np.log(shares[np.arange(len(x)), labels]).mean())
        error = (shares - np.eye(3)[labels]) / len(x)
        gradient = {"weight": x.T @ (error * params["gain"]), "gain": (error * z).sum(0)}
        for name in params:
            d = gradient[name] + recipe.weight_decay * params[name]
            buffers[name] = recipe.momentum * buffers[name] + d
            params[name] = params[name] - float(rates[t]) * factors[name] * buffers[name]
    return params, losses


RECIPE = Recipe(0.3, 12, 4, momentum=0.8, weight_decay=0.02, drops=(0.5,))
FACTORS = {"weight": 1.0, "gain": 0.01}


def test_training_is_that_of_torch_sgd_written_out():
    params, curves = loop.train(forward, PARAMS, DATA, RECIPE, seed=1, factors=FACTORS)
    expected, losses = by_hand(PARAMS, RECIPE, 1, FACTORS, 12)
    # float64, 12 steps of a well-conditioned problem: rounding of about 1e-15 a step, the rates are rounded to float32 in both
    assert np.allclose(curves["training_loss"], losses, rtol=1e-12, atol=0)
    assert all(np.allclose(params[name], expected[name], rtol=1e-11, atol=1e-13) for name in PARAMS)


@pytest.mark.parametrize("wrong", [{"momentum": 0.9}, {"weight_decay": 0.0}, {"drops": ()}])
def test_another_recipe_is_told_apart_from_the_one_written_out(wrong):
    params, _ = loop.train(forward, PARAMS, DATA, RECIPE._replace(**wrong), seed=1, factors=FACTORS)
    expected, _ = by_hand(PARAMS, RECIPE, 1, FACTORS, 12)
    assert not np.allclose(params["weight"], expected["weight"], rtol=1e-4)


def test_one_program_of_many_steps_does_what_one_program_a_step_does():
    ahead, constants = loop.plan(RECIPE, 20, 1, 0, 12), loop.fixed(RECIPE, PARAMS, 1, FACTORS)
    state, seen = loop.steps(forward, False, loop.start(PARAMS), ahead, DATA, constants)
    params, curves = loop.train(forward, PARAMS, DATA, RECIPE, seed=1, factors=FACTORS)
    assert np.allclose(seen["training_loss"], curves["training_loss"], rtol=1e-12)  # rounding alone, in float64
    assert np.allclose(state.params["weight"], params["weight"], rtol=1e-12)


def test_every_epoch_sees_every_sample_once_but_for_the_rest_and_in_an_order_of_its_own():
    rows = batches(20, 6, seed=0, start=0, stop=6)
    epochs = rows.reshape(2, -1)
    assert all(len(set(epoch)) == 18 for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(rows, batches(20, 6, seed=1, start=0, stop=6))


@pytest.mark.parametrize("start", range(7))
def test_batches_from_any_step_on_are_those_of_the_whole(start):
    assert np.array_equal(batches(20, 6, 5, start, 7), batches(20, 6, 5, 0, 7)[start:])


def test_the_learning_rate_warms_up_and_drops_where_the_recipe_says():
    rates = learning_rates(Recipe(1.0, 10, 4, drops=(0.5, 0.8), drop_factor=0.5, warmup=0.2))
    assert np.allclose(rates, [0.5, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25])


def test_an_interrupted_training_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "STEPS", 5)
    whole, curves = loop.train(forward, PARAMS, DATA, RECIPE, seed=1, kept=tmp_path / "whole.npz")
    kept, advance = tmp_path / "kept.npz", loop.advance

    def interrupted(*arguments):
        if arguments[3].number[0] >= 5:
            raise KeyboardInterrupt
        return advance(*arguments)

    monkeypatch.setattr(loop, "advance", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.train(forward, PARAMS, DATA, RECIPE, seed=1, kept=kept)
    assert kept.exists()
    taken = []
    monkeypatch.setattr(loop, "advance", lambda *args: taken.append(args[3].number[0]) or advance(*args))
    resumed, after = loop.train(forward, PARAMS, DATA, RECIPE, seed=1, kept=kept)
    assert taken == [5, 10], "what was done is not done again"
    assert list(tmp_path.iterdir()) == []
    assert all(np.array_equal(whole[name], resumed[name]) for name in PARAMS)
    assert all(np.array_equal(curves[name], after[name]) for name in curves)


def test_a_checkpoint_belongs_to_a_measurement_and_to_the_code_that_measures(monkeypatch):
    monkeypatch.setenv(checkpoint.FOLDER, "elsewhere")
    function = "ntkcheck.training.outcome:measure"
    place = checkpoint.place(function, "a" * 64)
    assert place.parent.name == "elsewhere"
    assert place.name.startswith("a" * 24)
    assert place != checkpoint.place("ntkcheck.training.task:load", "a" * 64)


def test_shifts_and_reflections_keep_images_but_for_what_leaves_them():
    x = (
        jnp.zeros((200, 16, 16, 3)).at[:, 8, 6].set(1.0)
    )  # one bright pixel, which a shift moves by up to 4 and a mirror to 9
    y = np.asarray(shifted_and_flipped(KEY, x))
    rows, columns = np.argwhere(y[..., 0] == 1)[:, 1:].T
    assert y.sum() == x.sum()
    assert set(rows) == set(
        range(8 - SHIFT, 8 + SHIFT + 1)
    )  # 200 images: each of 9 rows is missed with probability 5e-10
    assert set(columns) == set(range(6 - SHIFT, 6 + SHIFT + 1)) | set(range(9 - SHIFT, 9 + SHIFT + 1))
