"""Every figure draws from the committed tables, in the one look, with its caption."""

import io

import pandas as pd
import pytest
from matplotlib.text import Text

import analyses
import figures
from figures._full_size import largest_runs
from ntkcheck import claims
from ntkcheck.output import STYLE


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


@pytest.mark.parametrize("name", figures.names())
def test_every_figure_draws_from_the_committed_tables(name):
    figure = figures.load(name)
    picture = figure.picture(tables(name))
    png = io.BytesIO()
    picture.savefig(png, dpi=30, format="png")  # warnings are errors: nothing collides so much that the layout fails
    assert len(png.getvalue()) > 1000
    assert any(axis.has_data() for axis in picture.axes)
    assert len(words(picture)) > 20
    assert STYLE["axes.spines.top"] is picture.axes[0].spines["top"].get_visible() is False


@pytest.mark.parametrize("name", figures.names())
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


def changed(table, **columns):
    """A committed table with one column of some rows replaced: `value`, where the other columns have these values."""
    value = columns.pop("value")
    chosen = figures.pick(table, **columns).index
    table = table.copy()
    table.loc[chosen, "value"] = value
    return table


def test_memory_is_drawn_by_every_account_and_told_where_there_is_none():
    figure, committed = figures.load("memory"), tables("memory")
    assert "3 models where it was measured under both normalisers" in figure.caption(committed)
    assert "the compiled step of resnet50, CIFAR was not measured" in figure.caption(committed)
    vgg16 = {"model": "vgg16", "form": "imagenet", "quantity": "device_peak_bytes"}
    halved = committed["reference"]
    for normalizer, value in (("batch_norm", 4e10), ("mimic_norm", 2e10)):
        halved = changed(halved, **vgg16, normalizer=normalizer, value=value)
    left = figure.picture(committed | {"reference": halved}).axes[0]
    peaks = next(line.get_xdata() for line in left.lines if line.get_marker() == "v")
    assert peaks[3] == pytest.approx(0.5)  # VGG-16 is the fourth of the paper's rows
    assert sum(x == x for x in peaks) == 3


def test_full_size_models_without_an_ntk_say_so():
    figure, committed = figures.load("full_size"), tables("full_size")
    axes = figure.picture(committed).axes
    assert not any("not measured" in [text.get_text() for text in axis.texts] for axis in axes)
    one = committed["reference_curves"]
    without = one[(one["model"] != "vgg11") | (one["quantity"] != "ntk_one_spectrum")]
    axes = figure.picture(committed | {"reference_curves": without}).axes
    assert "not measured" in [text.get_text() for text in axes[12].texts]


def test_of_several_runs_of_a_model_the_one_of_most_images_and_then_of_most_networks_is_drawn():
    model = {"model": "vgg11", "form": "cifar", "normalizer": "none", "kind": "ntk_one"}
    runs = [("gpu", 32, 4), ("more networks", 32, 16), ("fewer images", 8, 64)]
    table = pd.DataFrame(
        [model | {"record": name, "batch": batch, "n": n, "at": at} for name, batch, n in runs for at in (1, 2)]
        + [model | {"kind": "activations", "record": "of another kind", "batch": 8, "n": 2, "at": 1}]
    )
    assert list(largest_runs(table)["record"]) == ["more networks"] * 2 + ["of another kind"]
    assert list(largest_runs(table[table["batch"] == 8])["record"]) == ["fewer images"] * 2 + ["of another kind"]


def training(normalizer, rate, seed):
    """A made-up training of which the variance is `rate * (seed + 1 + t)` at step t; none of seed 1 without normaliser ends."""
    common = {"model": "vgg11", "normalizer": normalizer, "learning_rate": rate, "seed": seed, "batch": 64}
    surge = [{"quantity": "output_variance", "at": t, "value": rate * (seed + 1 + t)} for t in range(4)]
    loss = [{"quantity": "training_loss", "at": t, "value": 4.0 - t + seed} for t in range(4)]
    end = {"quantity": "diverged", "value": float(normalizer == "none" and seed)}
    return [common | row for row in [*surge, *loss, end]]


def test_the_variance_of_outputs_is_drawn_by_learning_rate_and_divergence_is_told():
    runs = [(name, rate, seed) for name in ("none", "last_batch_norm") for rate in (0.1, 1.0) for seed in (0, 1)]
    made_up = pd.DataFrame([row for run in runs for row in training(*run)])
    figure = figures.load("mimicnorm_fig3")
    caption = figure.caption({"training_mn9": made_up})
    assert "vgg11 at 0.1: 1 of 2 and 0 of 2; vgg11 at 1: 1 of 2 and 0 of 2" in caption
    assert "1.50 (vgg11 at 0.1), 1.50 (vgg11 at 1)" in caption  # median of 1 and 2
    assert "overflows float32 (nowhere)" in caption
    top, bottom = figure.picture({"training_mn9": made_up}).axes
    assert [text.get_text() for text in top.texts] == ["0.1", "1"]
    assert list(bottom.texts) == []
    assert list(top.lines[0].get_ydata()) == pytest.approx([0.15, 0.25, 0.35, 0.45])  # median of seeds
    assert list(bottom.lines[0].get_ydata()) == pytest.approx([4.5, 3.5, 2.5, 1.5])


def test_a_line_breaks_where_a_variance_is_not_finite():
    made_up = pd.DataFrame([row for seed in (0, 1) for row in training("last_batch_norm", 1.0, seed)])
    overflown = changed(made_up, quantity="output_variance", seed=1, at=3, value=float("inf"))
    figure = figures.load("mimicnorm_fig3")
    assert "overflows float32 (vgg11 at 1)" in figure.caption({"training_mn9": overflown})
    top = figure.picture({"training_mn9": overflown}).axes[0]
    drawn = top.lines[0].get_ydata()
    assert list(drawn[:3]) == pytest.approx([1.5, 2.5, 3.5])
    assert drawn[3] != drawn[3]


def test_the_gain_of_small_scales_is_told_with_what_two_seeds_make_of_it():
    accuracies = {"batch_norm": (0.5, 0.7, 0.97, 0.98), "scaled_batch_norm": (0.99, 0.99, 0.99, 0.98)}
    rows = [
        {
            "normalizer": name,
            "seed": seed,
            "quantity": "test_accuracy",
            "value": value,
            "sem": 0.01,
            "n": 359,
            "steps": 330,
        }
        for name, values in accuracies.items()
        for seed, value in enumerate(values)
    ]
    caption = figures.load("small_scale").caption({"training_paired": pd.DataFrame(rows)})
    # Gains of 49, 29, 2 and 0 points: mean 20, median 15.5; squared deviations 841 + 81 + 324 + 400 over
    # 4 (4 - 1) are 11.71 ** 2; without the first two 1 +- 1.
    assert "20.00 ± 11.71 points" in caption
    assert "its median 15.50; 3 seeds gain, 0 lose" in caption
    assert "the mean is 1.00 ± 1.00" in caption
