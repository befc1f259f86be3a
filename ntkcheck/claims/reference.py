"""The checks that rest on the full-size reference models, and on normalisation of a network's last layer."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from ntkcheck import meanfield
from ntkcheck.claims import full_size
from ntkcheck.claims.evidence import Answers, Evidence, exact
from ntkcheck.claims.last_layer import behind_batch_norm
from ntkcheck.reference import program, residuals
from ntkcheck.reference.case import Case
from ntkcheck.reference.papers import CLASSES, PRINTED, PRINTED_BATCH, SIDES
from ntkcheck.stats import Estimate, mean_estimate

HE = 2**0.5
FUSED, DIFFERENTIATED = "saved_by_fused_layers", "saved_as_differentiated"


def mn_10(evidence: Evidence) -> Answers:
    """Memory of MimicNorm over BatchNorm: residuals by shapes, the compiler's temporary memory, and the device's peak.

    The paper's BatchNorm is a fused layer, which keeps its input and statistics: that account answers the tests of the residuals.
    What automatic differentiation of BatchNorm written out keeps is recorded beside them.
    """
    ratios = {
        (row.model, row.form): {
            name: _residuals_ratio(evidence, row.model, row.form, name) for name in (FUSED, DIFFERENTIATED)
        }
        for row in PRINTED
    }
    return {
        "residuals_geometric_mean": _geometric_mean([found[FUSED] for found in ratios.values()]),
        "residuals_resnet_50_imagenet": ratios["resnet50", "imagenet"][FUSED],
        "residuals_resnet_18_imagenet": ratios["resnet18", "imagenet"][FUSED],
        "residuals_resnet_18_cifar_100": ratios["resnet18", "cifar"][FUSED],
        "temporary_resnet_50_imagenet": _program_ratio(evidence, "temporary_bytes"),
        "device_peak_resnet_50_imagenet": _program_ratio(evidence, "device_peak_bytes"),
        "differentiated_geometric_mean": _geometric_mean([found[DIFFERENTIATED] for found in ratios.values()]),
    }


def _residuals_ratio(evidence: Evidence, model: str, form: str, account: str) -> Estimate | None:
    records = (
        evidence.obtain(residuals.measure, **_case(model, form, normalizer)._asdict())
        for normalizer in ("mimic_norm", "batch_norm")
    )
    return _ratio(*(record and record.find(account) for record in records))


def _program_ratio(evidence: Evidence, quantity: str) -> Estimate | None:
    """Of ResNet-50's training step at 224 x 224 on a GPU."""
    records = (
        evidence.on_gpu(program.measure, **_case("resnet50", "imagenet", normalizer)._asdict(), precision="highest")
        for normalizer in ("mimic_norm", "batch_norm")
    )
    return _ratio(*(record and record.find(quantity) for record in records))


def _case(model: str, form: str, normalizer: str) -> Case:
    return Case(model, normalizer, form, SIDES[form], PRINTED_BATCH, CLASSES[form])


def _ratio(mimic_norm: object, batch_norm: object) -> Estimate | None:
    if isinstance(mimic_norm, Estimate) and isinstance(batch_norm, Estimate):
        return exact(mimic_norm.value / batch_norm.value)
    return None


def _geometric_mean(ratios: list[Estimate | None]) -> Estimate | None:
    values = [ratio.value for ratio in ratios if ratio]
    return exact(np.exp(np.mean(np.log(values)))) if len(values) == len(ratios) else None


def lt_3(evidence: Evidence, samples: int = 64, features: int = 784, outputs: int = 400) -> Answers:
    """Largest over mean eigenvalue of the NTK, normalised in the last layer, in the middle, and not: infinite width, full size."""
    rng = evidence.generator("LT-3")
    x = rng.standard_normal((samples, features))
    x *= np.sqrt(features) / np.linalg.norm(x, axis=1, keepdims=True)

    def sharpness(depth: int, normalizer: str) -> float:
        return float(_sharpness(np.asarray(meanfield.propagate(x, depth, normalizer, "relu", HE).ntk)))

    straight = meanfield.propagate(x, 3, "none", "relu", HE)
    none, deep = sharpness(3, "none"), sharpness(50, "none")
    last = _last_layer(rng, np.asarray(straight.nngp), np.asarray(straight.ntk), outputs)
    return {
        "none": exact(none),
        "last_layer": mean_estimate(_sharpness(last)),
        "middle_layers_over_none": exact(sharpness(3, "batch_norm") / none),
        "layer_norm_over_none": exact(sharpness(3, "layer_norm") / none),
        "middle_layers_depth_50_over_none": exact(sharpness(50, "batch_norm") / deep),
        **full_size.sharpness(evidence),
    }


def _sharpness(kernel: Float[np.ndarray, "*stack batch batch"]) -> Float[np.ndarray, "*stack"]:
    """Largest over mean eigenvalue."""
    return np.linalg.eigvalsh(kernel)[..., -1] / np.trace(kernel, axis1=-2, axis2=-1) * kernel.shape[-1]


def _last_layer(
    rng: np.random.Generator,
    nngp: Float[np.ndarray, "batch batch"],
    ntk: Float[np.ndarray, "batch batch"],
    outputs: int,
) -> Float[np.ndarray, "outputs batch batch"]:
    """NTK behind BatchNorm at outputs f ~ N(0, K), one after the other."""
    f = rng.multivariate_normal(np.zeros(len(nngp)), nngp, outputs, method="eigh")
    return np.asarray(behind_batch_norm(jnp.asarray(f), jnp.asarray(ntk)))
