"""JSON text of nested results."""

import json
import math
from typing import Any


def json_text(value: Any) -> str:
    """Indented JSON; numbers that are not finite are the strings "inf", "-inf" and "nan", because JSON has none."""
    return json.dumps(_jsonable(value), indent=1, allow_nan=False) + "\n"


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
