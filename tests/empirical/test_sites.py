import jax
import jax.numpy as jnp
import pytest

from ntkcheck.empirical import empirical_ntk
from ntkcheck.empirical.linearization import trace
from ntkcheck.empirical.sites import Dense, Rowwise
from tests.empirical.networks import CASES, values


def kinds(name):
    """For each parameter that is used, in the order of the tree's leaves: D (dense), R (row-wise) or - (not recognised)."""
    sites = trace(CASES[name].apply, *values(CASES[name])).sites
    return "".join({Dense: "D", Rowwise: "R"}.get(type(site), "-") for site in sites.values())


EXPECTED = {
    "mlp": "RDDRD",
    "batch norm": "RDDRD",
    "NTK parametrisation": "DDDD",
    "scan of layers with batch norm": "RDDD",
    "scans in a scan": "DD",
    "centred weights": "DD",
    "weights used twice": "-D",
    "weights of all steps of a scan": "-D",
    "custom derivatives": "DDD",
    "a custom rule for weights": "D-",
    "remat": "DRDRD",
    "jitted layers": "DRDRD",
    "transposed weights": "DDDD",
    "vmap over samples": "DRD",
    "layer norm": "DRRRD",
    "scalars": "RRRD",
    "scalar on a weight": "DRD",
    "ten outputs": "RDDRD",
    "attention": "RDDDD",
    "many positions": "DRDD",
    "product of weights as wide as the batch": "DDD",
    "convolution": "DRDD",
    "convolution with batch norm": "DRDD",
    "grouped convolution": "DD",
    "branches": "D-DD",
    "stopped gradient": "-D",
    "unused and direct": "RD",
}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_use_is_recognised_or_left_alone(name):
    assert kinds(name) == EXPECTED[name]


def test_stacked_weights_have_one_site_for_all_layers():
    case = CASES["scans in a scan"]
    site = trace(case.apply, *values(case)).sites[0]
    assert isinstance(site, Dense)
    assert site.tap_shape() == (3, 2, 6, 5)


def test_scan_is_kept_so_that_depth_costs_no_compilation():
    case = CASES["scan of layers with batch norm"]

    def size(depth):
        params, x = values(case._replace(shapes=case.shapes | {"hidden": (depth, 8, 8), "bias": (depth, 8)}))
        return len(str(jax.make_jaxpr(lambda p, x: empirical_ntk(case.apply, p, x))(params, jnp.asarray(x))))

    assert size(40) < 1.01 * size(20)
