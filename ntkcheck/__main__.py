"""The command `ntkcheck`, which puts the others together."""

import typer

from ntkcheck.claims.__main__ import app as claims
from ntkcheck.reference.__main__ import main as reference
from ntkcheck.regime.__main__ import main as regime
from ntkcheck.report.__main__ import main as report
from ntkcheck.snd.__main__ import main as snd
from ntkcheck.store.__main__ import app as store
from ntkcheck.training.__main__ import main as training

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="A bench on which normalisation layers are tested against the theory that is told about them.",
)
app.command("regime")(regime)
app.command("reference")(reference)
app.command("training")(training)
app.command("snd")(snd)
app.add_typer(claims, name="claims")
app.command("report")(report)
app.add_typer(store, name="store")

if __name__ == "__main__":
    app()
