"""Every figure draws from the committed tables, in the one look, with its caption."""

import io

import pandas as pd
import pytest
from matplotlib.text import Text

import analyses
import figures
from ntkcheck import claims
from ntkcheck.output import STYLE

MADE_ELSEWHERE = {
    name for name in figures.COMMANDS if figures.committed(name) is None
}  # tables that need a GPU, not yet made
DRAWN = [name for name in figures.names() if not MADE_ELSEWHERE & set(figures.load(name).tables)]


def tables(name, **others):
    """The committed tables of a figure, those that it reads where they exist included; or others in their place."""
    figure = figures.load(name)
    texts = {table: figures.committed(table) for table in (*figure.tables, *figure.optional)}
    return {table: figures.frame(text) for table, text in texts.items() if text is not None} | others


def words(picture):
    """All that is written in a picture, without the numbers at its axes."""
    texts = [text.get_text() for text in picture.findobj(Text)]
    return " ".join(text for text in texts if not text.replace(".", "").isdigit())


@pytest.mark.parametrize("name", figures.names())
def test_every_study_that_a_figure_reads_is_committed_as_its_grid_is(name):
    figure = figures.load(name)
    missing = [table for table in figure.tables if table in analyses.names() and figures.committed(table) is None]
    assert missing == []
    assert all(figures.command(table).startswith("python -m ") for table in (*figure.tables, *figure.optional))


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_draws_from_the_committed_tables(name):
    figure = figures.load(name)
    picture = figure.picture(tables(name))
    png = io.BytesIO()
    picture.savefig(png, dpi=30, format="png")  # warnings are errors: nothing collides so much that the layout fails
    assert len(png.getvalue()) > 1000
    assert any(axis.has_data() for axis in picture.axes)
    assert len(words(picture)) > 20
    assert STYLE["axes.spines.top"] is picture.axes[0].spines["top"].get_visible() is False


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_says_what_it_shows(name):
    figure = figures.load(name)
    caption = figure.caption(tables(name))
    assert caption.endswith(".")
    assert len(figure.title) > 20
    assert "standard error" in caption or "without noise" in caption or "no sampling noise" in caption
    assert figure.claims
    assert set(figure.claims) <= claims.load().keys()


def test_a_caption_takes_its_numbers_from_the_table():
    table = tables("lemma_1")["lemma_1"]
    assert "mean of 20000 independent" in figures.load("lemma_1").caption({"lemma_1": table})
    assert "mean of 77 independent" in figures.load("lemma_1").caption({"lemma_1": table.assign(n=77)})


def test_a_figure_refuses_to_draw_what_was_not_measured():
    table = tables("lemma_1")["lemma_1"]
    with pytest.raises(ValueError, match=r"must pick at least one row, got none with \{'fan_out': 64\}"):
        figures.pick(table[table["fan_out"] != 64], fan_out=64)


def test_an_unknown_figure_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'lemma_1'"):
        figures.load("lema_1")


def test_the_device_s_peak_is_drawn_where_it_was_measured():
    peaks = pd.DataFrame(
        [
            {"model": "vgg16", "form": "cifar", "image": 32, "batch": 256, "classes": 100, "normalizer": name}
            | {"quantity": "device_peak_bytes", "value": value}
            for name, value in (("batch_norm", 4e9), ("mimic_norm", 3e9))
        ]
    )
    figure = figures.load("memory")
    counted = {"saved_residuals": tables("memory")["saved_residuals"]}
    assert "Diamonds" not in figure.caption(counted)
    with_peak = counted | {"reference_gpu": peaks}
    assert "Diamonds" in figure.caption(with_peak)
    diamonds = [line for line in figure.picture(with_peak).axes[0].lines if line.get_marker() == "D"]
    assert [x for (x,) in zip(diamonds[0].get_xdata(), strict=True) if x == x] == [0.75]
    assert not [line for line in figure.picture(counted).axes[0].lines if line.get_marker() == "D"]


def test_full_size_models_are_drawn_from_the_gpu_s_table_where_there_is_one():
    figure, of_cpu = figures.load("full_size"), tables("full_size")["reference_cpu_curves"]
    of_gpu = of_cpu[of_cpu["model"] == "vgg11"].assign(device="gpu")
    both = {"reference_cpu_curves": of_cpu, "reference_gpu_curves": of_gpu}
    assert "on gpu" in figure.caption(both)
    assert len(figure.picture(both).axes) == 3
    assert len(figure.picture({"reference_cpu_curves": of_cpu}).axes) == 9


def test_the_variance_of_outputs_is_drawn_by_learning_rate_and_divergence_is_told():
    def training(normalizer, rate, seed):
        common = {"model": "vgg11", "normalizer": normalizer, "learning_rate": rate, "seed": seed, "batch": 64}
        surge = [{"quantity": "output_variance", "at": t, "value": rate * (seed + 1 + t)} for t in range(4)]
        return [
            common | row for row in [*surge, {"quantity": "diverged", "value": float(normalizer == "none" and seed)}]
        ]

    runs = [(name, rate, seed) for name in ("none", "last_batch_norm") for rate in (0.1, 1.0) for seed in (0, 1)]
    made_up = {"training_mn9": pd.DataFrame([row for run in runs for row in training(*run)])}
    figure = figures.load("mimicnorm_fig3")
    assert "vgg11 at 0.1: 50% and 0%; vgg11 at 1: 50% and 0%" in figure.caption(made_up)
    (axis,) = figure.picture(made_up).axes
    assert [text.get_text() for text in axis.texts] == ["0.1", "1"]
    assert list(axis.lines[0].get_ydata()) == pytest.approx([0.15, 0.25, 0.35, 0.45])  # median of seeds
