"""The verdicts as the table of README."""

import math
from collections import Counter
from collections.abc import Mapping

from ntkcheck.claims.judge import Outcome, Test, Verdict
from ntkcheck.measurement import with_error

BEGIN = "<!-- verdicts: begin (written by `ntkcheck claims readme`) -->"
END = "<!-- verdicts: end -->"

IN_A_FEW_WORDS = {
    "MN-1": "A straight deep ReLU network freezes",
    "MN-2": "BatchNorm has chi_1 = 1/(1 - 1/pi): chaotic",
    "MN-3": "Lemma 1: the factor (n_o - 1)/n_o",
    "MN-4": "Weight mean moves the network to chaos as BatchNorm does",
    "MN-5": "Correlations at width 300 lie in [-0.2, 0.2]",
    "MN-6": "Weight mean only where the fan-in exceeds 50",
    "MN-7": "Convolutions of residual branches rescaled by 1.2",
    "MN-8": "Centring the weights or their gradient: one is enough",
    "MN-9": "One BatchNorm before the loss auto-tunes the learning rate",
    "MN-10": "About 20% less memory than BatchNorm",
    "MN-11": "Accuracy like BatchNorm's (CIFAR-100, ImageNet)",
    "IN-1": "Newton's iteration converges to the inverse root",
    "IN-2": "SND and its estimator",
    "IN-3": "SND falls as the batch grows",
    "IN-4": "SND grows with the features, faster for whitening; groups reduce it",
    "IN-5": "IterNorm's SND is below full whitening's and set by T",
    "IN-6": "IterNorm conditions activations better than BatchNorm",
    "IN-7": "IterNorm's trade-off of conditioning and SND is better",
    "IN-8": "IterNorm costs about a convolution, far less than eigen-decomposition",
    "IN-9": "SND explains worse accuracy at small batches",
    "IN-10": "The published backward pass is the gradient",
    "IN-11": "CIFAR-10: test error 0.79 and 0.53 points lower",
    "RB-1": "Normalised values can be overly large",
    "RB-2": "Scale and shift stay near their initial values",
    "RB-3": "The scale multiplies the gradient passed back",
    "RB-4": "Scale 0.1 with a smaller learning rate improves accuracy",
    "RB-5": "BatchNorm on the input replaces data normalisation",
    "LT-1": "Fixed point and gradient growth of BatchNorm + ReLU",
    "LT-2": "NTK at depth: constant in order, Kronecker delta in chaos",
    "LT-3": "Last-layer BatchNorm removes the Fisher matrix's largest eigenvalue",
    "LT-4": "Condition number of the NTK by phase",
    "LT-5": "SND: PCA, then ZCA, then Cholesky and Newton whitening",
    "LT-6": "NTK fluctuations grow with depth / width, not in order",
    "LT-7": "Chaotic NTK: Kronecker delta, not constant",
}


def table(verdicts: Mapping[str, Verdict]) -> str:
    """One row a claim as Markdown, with the number that decided it, its interval and what the claim asks of it.

    Args:
        verdicts: By the claim's identifier.
    """
    counts = Counter(verdict.verdict for verdict in verdicts.values())
    total = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    head = "| claim | in a few words | verdict | decided by | measured | asked |\n|---|---|---|---|---|---|"
    return "\n".join([f"{len(verdicts)} claims: {total}.\n", head, *map(_row, verdicts.values())])


def insert(text: str, table: str) -> str:
    """The text with the table between its two marks, in place of what stood there.

    Raises:
        ValueError: If the text has not each mark once, in this order.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end) or BEGIN in after or END in before + after:
        raise ValueError(
            f"`readme` must have the marks {BEGIN} and {END} once each, in this order, got a text that has not; add them."
        )
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _row(verdict: Verdict) -> str:
    claim, decisive = verdict.claim, verdict.decisive
    words = IN_A_FEW_WORDS.get(claim.id) or claim.statement.replace("|", "\\|")
    measured, asked = _measured(verdict), _asked(decisive.test)
    return f"| {claim.id} | {words} | {verdict.verdict} | `{decisive.test.name}` | {measured} | {asked} |"


def _measured(verdict: Verdict) -> str:
    decisive = verdict.decisive
    if not decisive.estimate:
        return f"needs {verdict.claim.needs}" if verdict.claim.needs else "not measured"
    return f"{with_error(decisive.estimate)}{_ends(decisive)}"


def _ends(outcome: Outcome) -> str:
    """The interval, with two digits of its width; nothing where there is no sampling noise."""
    ends = outcome.interval
    if ends is None or not (0 < ends.high - ends.low < math.inf):
        return ""
    digits = max(0, 1 - math.floor(math.log10(ends.high - ends.low)))
    return f", [{ends.low:.{digits}f}, {ends.high:.{digits}f}]"


def _asked(test: Test) -> str:
    if math.isinf(test.high):
        return f"at least {test.low:.8g}"
    return f"at most {test.high:.8g}" if math.isinf(test.low) else f"{test.low:.8g} to {test.high:.8g}"
