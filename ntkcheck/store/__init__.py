"""Measurements with their provenance in one file, each durable at the moment it is made, and never made twice."""

from ntkcheck.store.code import code_of
from ntkcheck.store.failure import StoreError
from ntkcheck.store.functions import reference, resolve
from ntkcheck.store.origin import provenance
from ntkcheck.store.parameters import canonical, key_of, random_key, revived, seed_of
from ntkcheck.store.record import Record
from ntkcheck.store.store import Store

__all__ = [
    "Record",
    "Store",
    "StoreError",
    "canonical",
    "code_of",
    "key_of",
    "provenance",
    "random_key",
    "reference",
    "resolve",
    "revived",
    "seed_of",
]
