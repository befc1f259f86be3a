"""Tests of normalisation layers against the theory that is told about them."""
