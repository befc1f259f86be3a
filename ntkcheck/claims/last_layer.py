"""BatchNorm behind a network's last layer: the NTK that it makes of the network's own, and dense networks with and without it."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ntkcheck import data, normalizers
from ntkcheck.claims.cells import over_sets, values
from ntkcheck.claims.evidence import Answers, Evidence
from ntkcheck.compilation import compiled
from ntkcheck.empirical import empirical_ntk
from ntkcheck.empirical.network import apply_function, init
from ntkcheck.measurement import Measurement, Series
from ntkcheck.network import Network, make_network
from ntkcheck.stats import Estimate
from ntkcheck.store import Record

BATCHES, WIDTHS = (8, 32, 128), (64, 128, 256)
FACTORS = (1.0, 10.0, 100.0)
AT_ONCE = 32  # networks
WITH, WITHOUT = "largest_with_last_batch_norm", "largest_without"


@compiled()
def behind_batch_norm(
    outputs: Float[Array, "stack batch"], ntk: Float[Array, "*stack batch batch"]
) -> Float[Array, "stack batch batch"]:
    """NTK J Theta J^T behind BatchNorm, J its Jacobian at each of the outputs.

    Args:
        outputs: One neuron's values over a batch; a stack of such.
        ntk: Theta, of each of the stack, or one of all.
    """

    def normalized(f: Float[Array, " batch"]) -> Float[Array, " batch"]:
        return normalizers.batch_norm(f[:, None])[:, 0]

    J = jax.vmap(jax.jacfwd(normalized))(outputs)
    return J @ ntk @ J.mT


def largest_eigenvalues(
    _: Array, width: int, batches: Sequence[int], scale: float, networks: int, depth: int, seed: int
) -> list[Measurement]:
    """Largest NTK eigenvalue of random ReLU networks of one output on the digits, and the same behind a last BatchNorm.

    He's variance, no biases. The derived key is not used: the same networks and images serve every scale, and smaller batches are
    the first images of larger ones, whose NTK holds theirs.

    Args:
        width: Neurons of every hidden layer.
        batches: Numbers of images, standardised by one mean and one deviation; each network has its own.
        scale: Of all weights.
        networks: Number of independent networks.
        depth: Hidden layers.
        seed: Of weights and images.
    """
    images = data.standardize(data.load("digits").x)
    rows = [np.random.default_rng([seed, i]).permutation(len(images))[: max(batches)] for i in range(networks)]
    network = make_network(depth, "none", "relu", 2**0.5)
    outputs, ntk = _outputs_and_kernels(network, width, jax.random.key(seed), jnp.asarray(images[rows]), scale)

    def largest(quantity: str, batch: int, kernels: Float[Array, "networks batch batch"]) -> Measurement:
        found = Series(np.linalg.eigvalsh(kernels)[:, -1], np.zeros(networks), networks, np.arange(networks))
        return Measurement(f"{quantity}_{batch}", found, f"{networks} networks, {batch} images")

    found = []
    for batch in batches:
        straight = ntk[:, :batch, :batch]
        behind = behind_batch_norm(outputs[:, :batch], straight)
        found += [largest(WITH, batch, behind), largest(WITHOUT, batch, straight)]
    return found


@compiled("network", "width")
def _outputs_and_kernels(
    network: Network, width: int, key: Array, x: Float[Array, "networks batch features"], scale: float
) -> tuple[Float[Array, "networks batch"], Float[Array, "networks batch batch"]]:
    """The one output and its NTK, of a random network for each batch."""
    apply = apply_function(network)

    def of_one(arguments: tuple[Array, Array]) -> tuple[Array, Array]:
        i, x = arguments
        params = jax.tree.map(lambda w: scale * w, init(jax.random.fold_in(key, i), network, x.shape[1], width))
        return apply(params, x)[:, 0], empirical_ntk(apply, params, x, output=0, batch_coupled=False)

    return jax.lax.map(of_one, (jnp.arange(x.shape[0]), x), batch_size=AT_ONCE)


def dense_spectra(evidence: Evidence, networks: int = 256, depth: int = 3) -> Answers:
    """Claim MN-9: the largest NTK eigenvalue of dense networks with the last BatchNorm, over that without, and by their scale."""

    def largest(width: int, scale: float = 1.0) -> Record | None:
        seed = evidence.experiment.settings.seed
        sizes = {"width": width, "batches": BATCHES, "networks": networks, "depth": depth}
        return evidence.obtain(largest_eigenvalues, scale=scale, seed=seed, **sizes)

    ratios = [
        over_sets(_log_ratio, *(values(record, f"{name}_{batch}") for name in (WITH, WITHOUT)))
        for record in map(largest, WIDTHS)
        for batch in BATCHES
    ]
    by_scale = [values(largest(WIDTHS[0], factor), f"{WITH}_{BATCHES[1]}") for factor in FACTORS]
    return {
        "spectrum_exponent_dense": over_sets(
            lambda *found: np.polyfit(np.log(FACTORS), np.log(found), 1)[0], *by_scale
        ),
        "log_spectrum_ratio_dense": _largest(ratios),
    }


def _log_ratio(
    behind: Float[np.ndarray, " networks"], straight: Float[np.ndarray, " networks"]
) -> Float[np.ndarray, " networks"]:
    return np.log10(behind / straight)


def _largest(ratios: list[Estimate | None]) -> Estimate | None:
    present = [each for each in ratios if each]
    return max(present, key=lambda each: each.value) if len(present) == len(ratios) else None
