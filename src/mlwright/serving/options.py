"""Options: what the query of a prediction may ask for, such as ``?explain=true``; a closed table.

Whatever stands there goes the careful way of a request, off the hot one, and in the thread: a request without a query
knows nothing of it. An option adds one key to each answer. To add one: a class as `Option` is, and a line in `OPTIONS`;
the OpenAPI document, ``/schema``, the docs page and the errors follow from the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Protocol
from urllib.parse import parse_qsl

from mlwright.core.errors import UsageError
from mlwright.core.types import Floats, Json
from mlwright.serving.explaining import Explain
from mlwright.serving.interval import TellInterval
from mlwright.serving.predictor import Predictor

__all__ = ["OPTIONS", "Option", "asked", "offered", "tell"]

_VALUES = {"true": True, "1": True, "false": False, "0": False}
_TAKES = "/predict"
_MOST = 10  # fields of a query


class Option(Protocol):
    """Something more that answers tell. It has no state, and is asked from any thread."""

    @property
    def name(self) -> str:
        """What stands in the query."""
        ...

    @property
    def key(self) -> str:
        """What stands in the answer."""
        ...

    @property
    def about(self) -> str:
        """What it is, in a few words."""
        ...

    @property
    def most(self) -> int | None:
        """The largest number of records that may ask for it at once; None for as many as without it."""
        ...

    def refusal(self, predictor: Predictor) -> str | None:
        """Return why this predictor cannot tell it; None if it can."""
        ...

    def tell(self, predictor: Predictor, matrices: Mapping[str, Floats], outputs: Floats) -> list[Json]:
        """Return what stands under `key` in each row's answer.

        Parameters
        ----------
        matrices : mapping of str to ndarray of shape (n_rows, n_columns of the view)
            What the models see.
        outputs : ndarray of shape (n_rows, n_outputs)
            What the ensemble gives for them.
        """
        ...

    def schema(self, predictor: Predictor) -> Json:
        """Return the JSON Schema of what `tell` gives for a row."""
        ...


_ALL: tuple[Option, ...] = (Explain(), TellInterval())
OPTIONS: Mapping[str, Option] = MappingProxyType({option.name: option for option in _ALL})


def offered(predictor: Predictor) -> list[Option]:
    """Return the options that a predictor can tell."""
    return [option for option in OPTIONS.values() if option.refusal(predictor) is None]


def asked(path: str, query: str, predictor: Predictor) -> list[Option]:
    """Return the options that a request's query asks for, in the table's order.

    Raises
    ------
    UsageError
        If it names an unknown option, one twice, one that this model has not, or has another value than true or false.

    Examples
    --------
    >>> asked("/predict", "explian=true", None)
    Traceback (most recent call last):
    ...
    mlwright.core.errors.UsageError: unknown option in the address: got 'explian'; allowed: explain, interval
    """
    if not query:
        return []
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST)
    except ValueError:
        raise UsageError(f"the address has more than {_MOST} options") from None
    found: dict[str, bool] = {}
    for name, value in pairs:
        if path != _TAKES:
            raise UsageError(f"this address takes no options, only {_TAKES} does", got=name)
        option = OPTIONS.get(name)
        if option is None:
            raise UsageError("unknown option in the address", got=name, allowed=[*OPTIONS])
        if name in found:
            raise UsageError(f"the option '{name}' is there twice")
        if value.lower() not in _VALUES:
            raise UsageError(f"the option '{name}'", got=value, allowed="true, false")
        found[name] = _VALUES[value.lower()]
        refusal = option.refusal(predictor) if found[name] else None
        if refusal is not None:
            raise UsageError(f"the option '{name}' is not for this model: {refusal}")
    return [option for name, option in OPTIONS.items() if found.get(name)]


def tell(
    options: Iterable[Option], predictor: Predictor, matrices: Mapping[str, Floats], outputs: Floats
) -> dict[str, list[Json]]:
    """Return what each option tells of the rows, by the key under which it stands in an answer."""
    return {option.key: option.tell(predictor, matrices, outputs) for option in options}
