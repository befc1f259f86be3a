"""What each option of a disturbance run has to be, by itself."""

from typing import Any

from ntkcheck.disturbance.normalizer import SEQUENCES, name_of
from ntkcheck.errors import unknown_name
from ntkcheck.snd.estimate import DESIGNS

# Options that are lists, by the attribute that holds them; those that may be empty have a default of their own.
LISTS = {
    "populations": "population",
    "normalizers": "normalizer",
    "batch_sizes": "batch_size",
    "features": "features",
    "group_sizes": "group_size",
    "groups": "groups",
    "iterations": "iterations",
}
MAY_BE_EMPTY = ("group_sizes", "groups")
LEAST = {
    "batch_sizes": (2, "SND is over the other samples of a batch"),
    "features": (1, "there is nothing to normalise"),
    "group_sizes": (1, "it counts the features of a group"),
    "groups": (1, "the features are divided among them"),
    "iterations": (1, "Newton's iteration starts at the identity"),
    "anchors": (2, "a standard error is over anchors"),
    "draws": (2, "a distance to a mean needs a second draw"),
    "samples": (2, "a batch needs two"),
}


def check_options(settings: Any) -> None:
    """Raise ValueError for an option that no data and no normaliser could meet.

    Args:
        settings: `Settings`.
    """
    for attribute, option in LISTS.items():
        _check_list(option, getattr(settings, attribute), attribute in MAY_BE_EMPTY)
    for attribute, (least, reason) in LEAST.items():
        value = getattr(settings, attribute)
        for each in value if attribute in LISTS else (value,):
            _check_count(LISTS.get(attribute, attribute), each, least, reason)
    _check_names(settings.normalizers)
    if settings.design not in DESIGNS:
        raise unknown_name("design", settings.design, DESIGNS)
    if not 0 <= settings.seed < 2**63:
        raise ValueError(f"`seed` must be a whole number from 0 to 2 ** 63 - 1, got {settings.seed}; try 0.")
    sequences = [choice for choice in settings.normalizers if choice in SEQUENCES]
    if sequences and not settings.replacement:
        raise ValueError(f"`replacement` must be on for {sequences[0]}, whose batches are many, got off; leave it out.")


def _check_list(option: str, values: tuple[Any, ...], may_be_empty: bool) -> None:
    if not values and not may_be_empty:
        raise ValueError(f"`{option}` must be given once at least, got none; leave the option out for its default.")
    repeated = next((value for place, value in enumerate(values) if value in values[:place]), None)
    if repeated is not None:
        raise ValueError(f"`{option}` must give every value once, got {repeated!r} twice; drop one.")


def _check_count(option: str, value: object, least: int, reason: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(
            f"`{option}` must be a whole number, at least {least} ({reason}), got {value}; try {least} or more."
        )


def _check_names(choices: tuple[Any, ...]) -> None:
    names = [name_of(choice) for choice in choices]
    repeated = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if repeated is not None:
        raise ValueError(f"`normalizer` must give every name once, got {repeated!r} twice; rename or drop one.")
