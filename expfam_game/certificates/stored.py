"""What all certificates share: frozen arrays, equality by content, and JSON from which every number comes back bit for bit."""

from __future__ import annotations

import base64
import binascii
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar, Self
from weakref import WeakValueDictionary

import numpy as np

from expfam_game._typing import AnyArray
from expfam_game.errors import CertificateRejected

FORMATS = {"expfam_game.certificate": "Certificate", "expfam_game.equilibria": "EquilibriaCertificate"}
"""Which class reads which format."""

_READABLE = 512
"""Arrays with more entries than this are written in base64."""


class StoredCertificate(ABC):
    """Base class of the certificates, which are frozen dataclasses of arrays and plain values.

    Two certificates are equal if they say the same, number for number.
    """

    _FORMAT: ClassVar[str]
    _SCHEMA: ClassVar[int] = 1

    def __post_init__(self) -> None:
        for name, value in self._content():
            if isinstance(value, np.ndarray):
                object.__setattr__(self, name, value if _MADE.get(id(value)) is value else frozen(value.copy()))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def _content(self) -> list[tuple[str, Any]]:
        return [(field.name, getattr(self, field.name)) for field in fields(self)]  # type: ignore[arg-type]

    # ------------------------------------------------------------------ what a certificate adds

    @abstractmethod
    def headline(self) -> dict[str, Any]:
        """The few numbers that a reader looks for first."""

    @abstractmethod
    def _problems(self) -> Iterable[str]:
        """What is wrong with the types and shapes of the entries."""

    @classmethod
    @abstractmethod
    def _encoded(cls, name: str, value: Any) -> Any:
        """An entry that is no array, as JSON knows it."""

    @classmethod
    @abstractmethod
    def _decoded(cls, name: str, value: Any) -> Any:
        """The inverse of :meth:`_encoded`."""

    # ------------------------------------------------------------------ files

    def to_json(self) -> str:
        """As JSON: numbers are recovered bit for bit, large arrays are in base64, the headline can be read by eye."""
        content: dict[str, Any] = {"format": self._FORMAT, "schema": self._SCHEMA, "headline": self.headline()}
        for name, value in self._content():
            content[name] = _encoded_array(value) if isinstance(value, np.ndarray) else self._encoded(name, value)
        return json.dumps(content, allow_nan=False, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The inverse of :meth:`to_json`.

        Raises
        ------
        CertificateRejected
            With claim ``"format"``, if the text is not a whole certificate of a known version.
        """
        try:
            content = json.loads(text, parse_constant=_refused, object_pairs_hook=_unique)
            cls._require_entries(content)
            headline = content.pop("headline")
            certificate = cls(**{name: cls._entry(name, value) for name, value in content.items()})
            require_format(certificate)
            if headline != certificate.headline():
                raise ValueError("the headline does not agree with the arrays")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as problem:
            raise CertificateRejected("format", f"not a certificate: {problem}") from None
        return certificate

    @classmethod
    def _require_entries(cls, content: Any) -> None:
        """Raise ValueError unless the format, the version and the names are those of this class; takes the first two out."""
        if not isinstance(content, dict):
            raise ValueError(f"it holds a {type(content).__name__}, not an object with named entries")
        other = FORMATS.get(str(content.get("format")))
        if other is not None and content["format"] != cls._FORMAT:
            raise ValueError(f"this file belongs to another class, read it with {other}.load")
        names = {"format", "schema", "headline", *(field.name for field in fields(cls))}  # type: ignore[arg-type]
        if missing := names - set(content):
            raise ValueError(f"the entries {', '.join(sorted(missing))} are missing")
        if unknown := set(content) - names:
            raise ValueError(f"the entries {', '.join(sorted(unknown))} are unknown")
        version = content.pop("format"), content.pop("schema")
        if version != (cls._FORMAT, cls._SCHEMA):
            raise ValueError(f"format and version are {version}, this package reads {(cls._FORMAT, cls._SCHEMA)}")

    @classmethod
    def _entry(cls, name: str, value: Any) -> Any:
        return _decoded_array(value) if isinstance(value, dict) and name != "claims" else cls._decoded(name, value)

    def save(self, path: str | Path) -> None:
        """Write :meth:`to_json` to a file."""
        Path(path).write_text(self.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file written by :meth:`save`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except UnicodeDecodeError as problem:
            raise CertificateRejected("format", f"not a text file: {problem}") from None
        return cls.from_json(text)


def require_format(certificate: StoredCertificate) -> None:
    """Raise ``CertificateRejected("format", …)`` unless every field has its type, its shape and finite numbers."""
    for problem in certificate._problems():
        raise CertificateRejected("format", problem)


def is_array(value: object, dtype: type, shape: tuple[int, ...]) -> bool:
    """Whether this is an array, exactly: a masked one would hide entries from every comparison."""
    return type(value) is np.ndarray and value.dtype == dtype and value.shape == shape


_MADE: WeakValueDictionary[int, AnyArray] = WeakValueDictionary()
"""Arrays that were made for a certificate and that nobody else has, by their ids."""


def frozen(array: AnyArray) -> AnyArray:
    """An array that was made for a certificate, from now on read-only: it is kept; all others are copied."""
    array.setflags(write=False)
    _MADE[id(array)] = array
    return array


# ---------------------------------------------------------------------- JSON


def _encoded_array(array: AnyArray) -> dict[str, Any]:
    dtype = "<f8" if array.dtype == np.float64 else "<i8"
    if array.size <= _READABLE:
        return {"dtype": dtype, "shape": list(array.shape), "values": array.ravel().tolist()}
    raw = np.ascontiguousarray(array, dtype=dtype).tobytes()
    return {"dtype": dtype, "shape": list(array.shape), "base64": base64.b64encode(raw).decode("ascii")}


def _decoded_array(entry: dict[str, Any]) -> AnyArray:
    dtype = {"<f8": np.float64, "<i8": np.int64}[entry["dtype"]]
    if "base64" in entry:
        try:
            raw = base64.b64decode(entry["base64"], validate=True)
        except binascii.Error as problem:
            raise ValueError(f"an array is not base64: {problem}") from None
        flat = np.frombuffer(raw, dtype=entry["dtype"]).astype(dtype)
    else:
        kind = float if dtype is np.float64 else int
        if not all(type(value) is kind for value in entry["values"]):
            raise ValueError(f"an array of {kind.__name__} has entries of another type")
        flat = np.array(entry["values"], dtype=dtype)
    return flat.reshape([int(size) for size in entry["shape"]])


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("an entry is given twice")
    return dict(pairs)


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is not allowed")
