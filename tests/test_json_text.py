import json
import math

from ntkcheck.json_text import json_text


def test_numbers_that_are_not_finite_are_strings_at_any_depth():
    value = {"a": [1.5, math.inf, (-math.inf, {"b": math.nan})], "c": None, "d": "text"}
    text = json_text(value)
    assert text.endswith("\n")
    assert json.loads(text) == {"a": [1.5, "inf", ["-inf", {"b": "nan"}]], "c": None, "d": "text"}
