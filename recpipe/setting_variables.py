"""The variables RECPIPE_* of the environment: each names a setting, and those of several values are JSON.

pydantic-settings passes over in silence what it does not know, and a night would run with a default instead.
"""

import json
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel

from recpipe.errors import UserError
from recpipe.source_settings import Section

PREFIX = "RECPIPE_"
MOST_SHOWN = 200
"""Characters of a wrong value in a message."""

_SOURCES = f"{PREFIX}SOURCES__"
"""What follows begins with a name that the shop gives; pydantic refuses what it does not know there."""

_OF_KUBERNETES = re.compile(rf"{PREFIX}(SERVICE|PORT)(_|$)")
"""It tells every pod of a Service named recpipe by such variables."""


def check_variables(environment: Mapping[str, str], settings: type[BaseModel]) -> None:
    """Raises:
    UserError: a variable names no setting of ``settings``, or should be JSON and is none.
    """
    known = dict(_known(settings, PREFIX))
    for variable, value in environment.items():
        name = variable.upper()
        if not name.startswith(PREFIX) or _OF_KUBERNETES.match(name):
            continue
        if name not in known and not name.startswith(_SOURCES):
            raise UserError(f"expected {PREFIX}* to name settings, found {variable}; {_mend(name, known)}")
        example = _example(name, known.get(name))
        if example and not _is_json(value):
            raise UserError(f"{variable}: expected JSON such as {example}, found {shown(value)}")


def shown(value: Any) -> str:
    """A wrong value, for a message."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def _known(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, Any]]:
    """Every variable with its default."""
    for field, info in section.model_fields.items():
        name = f"{prefix}{field.upper()}"
        yield name, info.default
        if isinstance(info.default, Section):
            yield from _known(type(info.default), f"{name}__")


def _mend(name: str, known: Mapping[str, Any]) -> str:
    near = get_close_matches(name.removeprefix(PREFIX), [other.removeprefix(PREFIX) for other in known], n=1)
    return f"did you mean {PREFIX}{near[0]}?" if near else "unset it"


def _example(name: str, default: Any) -> str | None:
    """What a value of several may look like; none of a single value."""
    if isinstance(default, tuple):
        return json.dumps(default[:1] or ["name"])
    if name.startswith(_SOURCES) and name.endswith("__EVENT_TYPES"):
        return '{"pdp": "view"}'
    return '{"name": "value"}' if isinstance(default, Section | dict) else None


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except ValueError:
        return False
    return True
