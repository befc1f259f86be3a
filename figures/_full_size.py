"""The tables of full-size models, in which one model may have been measured on several devices and at several sizes."""

import pandas as pd

CPU = "cpu"
SUBJECT = ["model", "form", "normalizer", "kind"]


def largest_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Of every model, normaliser and kind of measurement the record of the largest batch, of these the one of most networks."""
    by_size = table.sort_values(["batch", "n"], kind="stable")
    best = by_size.groupby(SUBJECT)["record"].transform("last")
    return table.loc[table["record"] == best.reindex(table.index)]


def devices(table: pd.DataFrame) -> str:
    """What measured a table, for a caption."""
    return " and ".join("a CPU" if name == CPU else f"an {name}" for name in table["device"].unique())


def networks(table: pd.DataFrame) -> str:
    """Random networks behind a table's means, for a caption."""
    counts = sorted(set(table["n"]))
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


def on_gpu(table: pd.DataFrame) -> pd.DataFrame:
    """What a GPU measured."""
    return table.loc[table["device"] != CPU]
