"""The result as tables for a terminal: one a population."""

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ntkcheck.disturbance.document import own_condition_number
from ntkcheck.disturbance.run import LARGE, Result
from ntkcheck.disturbance.settings import Line
from ntkcheck.measurement import confidence_interval, with_error
from ntkcheck.stats import Estimate

ZERO = 1e-9  # below it, SND is the rounding of a normaliser that has none
CAPTION = (
    "each cell: SND; SND / rms of the output; law - SND in %, exact law (e) where there is one, else first order. Standard error "
    "of the last digits in parentheses. Condition: of the output's covariance at the largest m. Slope: of log SND in log m over "
    "m >= {large} g, 95% interval. Law from: the smallest m from which on first order is within 5%, two standard errors granted."
)


def render(result: Result) -> RenderableType:
    """A table a population, and what was left out."""
    tables = [_table(result, spec, d) for spec, d in result.experiment.populations]
    notes = [Text(f"left out: {reason}", style="yellow") for reason in result.experiment.left_out]
    return Group(*tables, Text(CAPTION.format(large=LARGE), style="dim"), *notes)


def _table(result: Result, spec: str, d: int) -> Table:
    population, settings = result.experiment.populations[spec, d], result.experiment.settings
    table = Table(
        title=f"SND on {spec}: d = {d}, {len(population.x)} samples, condition number {own_condition_number(population):.3g}"
    )
    for column in ("normaliser", "g", "groups", "T"):
        table.add_column(column, no_wrap=True)
    for m in sorted(settings.batch_sizes):
        table.add_column(f"m = {m}", justify="right", no_wrap=True)
    for column in ("condition", "slope", "law from"):
        table.add_column(column, justify="right", no_wrap=True)
    for line in (line for line in result.lines if (line.population, line.features) == (spec, d)):
        numbers = (_cell(result, line, m) for m in sorted(settings.batch_sizes))
        fixed = ("-" if part is None else str(part) for part in (line.group_size, line.groups, line.iterations))
        table.add_row(line.normalizer, *fixed, *numbers, *_over_all(result, line))
    return table


def _cell(result: Result, line: Line, m: int) -> str:
    """SND, relative SND and the law's deviation, one below the other."""
    snd, relative, law = (result.find(line, m, quantity) for quantity in ("snd", "snd_relative", "law"))
    if snd is None:
        return "-"
    if not math.isfinite(snd.value):
        return "broke down"
    if abs(snd.value) < ZERO:
        return "0 by rounding"
    lines = [with_error(snd), f"rel {with_error(relative)}"]
    if law:
        exact = " e" if result.find(line, m, "law_exact") else ""
        lines.append(f"law {_percent(law, snd)}{exact}")
    return "\n".join(lines)


def _percent(law: Estimate, snd: Estimate) -> str:
    """How far the law is from what was measured, with the error of both."""
    sem = math.hypot(law.sem / snd.value, law.value * snd.sem / snd.value**2)
    return with_error(Estimate(100 * (law.value / snd.value - 1), 100 * sem, snd.n)) + "%"


def _shown(condition: Estimate) -> str:
    """Without an error where that is rounding alone."""
    return f"{condition.value:.5g}" if condition.sem < ZERO * condition.value else with_error(condition)


def _over_all(result: Result, line: Line) -> tuple[str, str, str]:
    conditions = result.over_batch_sizes(line, "condition_number")
    condition = _shown(conditions[max(conditions)]) if conditions else "-"
    power, start = result.slope(line), result.holds_from(line)
    slope = "-"
    if power:
        low, high = confidence_interval(power.exponent, 0.95)
        slope = f"{power.exponent.value:.3f}\n[{low:.3f}, {high:.3f}]"
    has_law = bool(result.over_batch_sizes(line, "law_first_order"))
    return condition, slope, (f"m = {start}" if start else "nowhere") if has_law else "no law"
