"""The result as tables for a terminal."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ntkcheck.measurement import FINITE, INFINITE, with_error
from ntkcheck.regime.run import Result

QUANTITIES = {
    "correlation_slope": "correlation slope chi_1 at identical inputs",
    "fixed_point": "correlation's fixed point",
    "pair_correlation": "mean pair correlation at the last layer",
    "gradient_growth": "squared gradient, growth per layer",
    "second_moment_growth": "second moment, growth per layer",
    "share_near_zero": "share of pairs in [-0.2, 0.2] beyond depth 20",
    "ntk_off_diagonal": "NTK off-diagonal / diagonal",
    "ntk_condition": "NTK condition number",
    "ntk_largest_share": "NTK largest eigenvalue / trace",
}
STYLES = {"chaotic": "magenta", "critical": "green", "ordered": "blue", "inconclusive": "yellow"}


def render(result: Result) -> RenderableType:
    """The regime table and the verdicts."""
    return Group(_quantities(result), _regimes(result))


def _quantities(result: Result) -> Table:
    settings, names = result.experiment.settings, list(result.experiment.networks)
    table = Table(
        title=f"{settings.activation}, depth {settings.depth}, width {settings.width}, batch {settings.batch_size}, "
        f"{settings.pairs} pairs, {settings.seeds} networks; data: {settings.data}",
        caption="theory: infinite width; n = ...: networks of finite width, standard error of the last digits in parentheses",
    )
    table.add_column("quantity")
    table.add_column("width")
    for name in names:
        table.add_column(_heading(result, name), justify="right")
    for quantity, words in QUANTITIES.items():
        for width, label in ((INFINITE, "theory"), (FINITE, f"n = {settings.width}")):
            cells = [with_error(result.find(name, quantity, width)) for name in names]
            if any(cell != "-" for cell in cells):
                table.add_row(words if width == INFINITE else "", label, *cells)
        table.add_section()
    return table


def _heading(result: Result, name: str) -> str:
    normalizer = result.experiment.networks[name].normalizer
    if normalizer.iterations:
        return f"{name}\n(groups of {normalizer.group_size}, T = {normalizer.iterations})"
    return name if normalizer.group_size in (1, None) else f"{name}\n(groups of {normalizer.group_size})"


def _regimes(result: Result) -> Table:
    table = Table(title="Regime: forward correlation and gradient apart")
    for column in ("normaliser", "respect", "verdict", "theory", "reason"):
        table.add_column(column)
    for name, found in result.regimes().items():
        for respect, regime in found.items():
            table.add_row(name, respect, _styled(regime.verdict), _styled(regime.theory), regime.reason)
        table.add_section()
    return table


def _styled(word: str) -> Text:
    return Text(word, style=STYLES.get(word, ""))
