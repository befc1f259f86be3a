"""What the estimators ask of a population, a normaliser and the numbers of batches, before any long work."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck.errors import unknown_name
from ntkcheck.normalizers import Normalizer

# Normalisers that divide by a spread over the batch: a constant feature, or a group of them, leaves 0 / 0.
_BY_FEATURE = ("batch_norm", "zca", "pca", "cholesky")


def checked_population(
    population: Float[np.ndarray, "samples features"] | Float[Array, "samples features"],
    batch_size: int,
    kind: Normalizer,
) -> Float[Array, "samples features"]:
    """The population on the device, once a batch of it can be normalised.

    Raises:
        ValueError: for another shape, samples that are not finite, fewer samples than a batch, features without variance, or
            what the normaliser itself refuses.
    """
    x = jnp.asarray(population)
    if x.ndim != 2 or not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"`population` must be real numbers of shape (samples, features), got {x.dtype} of shape {x.shape}; "
            "flatten each sample and convert to float."
        )
    samples, features = x.shape
    check_count("batch_size", batch_size, 2, "SND is over the other samples of a batch")
    kind.check(batch_size, features)
    if samples < batch_size:
        raise ValueError(
            f"`population` must hold at least `batch_size` samples, got {samples} for batches of {batch_size}; "
            "lower the batch size or give more samples."
        )
    host = np.asarray(x)
    if not np.isfinite(host).all():
        sample, feature = np.argwhere(~np.isfinite(host))[0]
        raise ValueError(
            f"`population` must be finite, got {host[sample, feature]} at sample {sample}, feature {feature}; "
            "leave such samples out."
        )
    _check_spread(host, kind)
    return x


def _check_spread(x: np.ndarray, kind: Normalizer) -> None:
    constant = np.ptp(x, axis=0) == 0
    if kind.name == "iter_norm":  # which whitens what varies, and needs no more than a trace
        constant = constant.reshape(-1, kind.group_size or 1).all(axis=1).repeat(kind.group_size or 1)
    if kind.name in (*_BY_FEATURE, "iter_norm") and constant.any():
        where = np.flatnonzero(constant)
        raise ValueError(
            f"`population` must vary in every feature for `{kind.name}`, got {len(where)} constant ones, the first of them "
            f"feature {where[0]} with value {x[0, where[0]]}; leave them out."
        )


def check_count(argument: str, count: int, fewest: int, reason: str) -> None:
    """Raise ValueError unless `count` is an int of at least `fewest`."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < fewest:
        raise ValueError(f"`{argument}` must be a whole number of at least {fewest}, got {count!r}: {reason}.")


def check_design(design: str, designs: tuple[str, ...]) -> None:
    """Raise ValueError unless `design` is one of `designs`."""
    if design not in designs:
        raise unknown_name("design", design, designs)


def check_key(key: Array) -> None:
    """Raise ValueError unless `key` is one of JAX's typed random keys."""
    if not (isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and key.shape == ()):
        raise ValueError(f"`key` must be a random key, got {key!r}; pass jax.random.key(0).")
