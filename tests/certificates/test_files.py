"""JSON: every number comes back bit for bit, and nothing but a whole certificate is read."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

import expfam_game as eg
from expfam_game.errors import CertificateRejected


def _same(a, b):
    for field in dataclasses.fields(a):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            assert x.dtype == y.dtype
            assert x.shape == y.shape
            assert x.tobytes() == y.tobytes()
        else:
            assert x == y
            assert type(x) is type(y)


@pytest.mark.parametrize("grade", ["auto", "exact", "rigorous", "float"])
def test_round_trip(digits_like, solved, grade, tmp_path):
    """640 entries go through base64, the small games through decimal numbers."""
    for game in (digits_like, eg.catalog.ring()):
        certificate = eg.certify(game, solved(game), grade=grade)
        again = eg.Certificate.from_json(certificate.to_json())
        _same(certificate, again)
        certificate.save(tmp_path / "certificate.json")
        _same(certificate, eg.Certificate.load(tmp_path / "certificate.json"))
        assert eg.check(game, again)


def test_signed_zeros_and_subnormals_survive():
    game = eg.Game(eg.families.KnownVarianceGaussian(), eg.Weights.complete(2, 0.5), means=[[-0.0], [5e-324]])
    certificate = eg.certify(game, SimpleNamespace(mean=[[-0.0], [5e-324]], natural=[[-0.0], [5e-324]]))
    _same(certificate, eg.Certificate.from_json(certificate.to_json()))
    assert eg.check(game, certificate)


def test_the_headline_can_be_read_by_eye(digits_like, solved):
    certificate = eg.certify(digits_like, solved(digits_like))
    headline = json.loads(certificate.to_json())["headline"]
    assert headline["grade"] == "rigorous"
    assert headline["n_agents"] == 10
    assert headline["max_regret_nats"] == certificate.max_regret
    assert headline["contraction_factor"] == certificate.contraction_factor
    assert "C5 rigorous: no agent can gain" in str(certificate)
    assert repr(certificate) == "Certificate(grade='rigorous', n_agents=10, dim=64)"


@pytest.fixture
def content(solved):
    game = eg.catalog.two_agents()
    return json.loads(eg.certify(game, solved(game)).to_json())


def _without(content, name):
    return {key: value for key, value in content.items() if key != name}


BROKEN = {
    "unknown version": lambda c: {**c, "schema": 99},
    "another format": lambda c: {**c, "format": "something"},
    "no version": lambda c: _without(c, "schema"),
    "an entry is missing": lambda c: _without(c, "w"),
    "an entry too many": lambda c: {**c, "extra": 1},
    "no headline": lambda c: _without(c, "headline"),
    "a beautified headline": lambda c: {**c, "headline": {**c["headline"], "max_regret_nats": 0.0}},
    "a beautified grade": lambda c: {**c, "headline": {**c["headline"], "grade": "exact"}},
    "w is a string": lambda c: {**c, "w": "1"},
    "w is a number": lambda c: {**c, "w": 1.0},
    "w is null": lambda c: {**c, "w": None},
    "w holds strings": lambda c: {**c, "w": {**c["w"], "values": ["1.0", "2.0"]}},
    "w holds booleans": lambda c: {**c, "w": {**c["w"], "values": [True, True]}},
    "w is too short": lambda c: {**c, "w": {**c["w"], "values": [1.0]}},
    "w of another type": lambda c: {**c, "w": {**c["w"], "dtype": "<f4"}},
    "w without values": lambda c: {**c, "w": _without(c["w"], "values")},
    "w is no base64": lambda c: {**c, "w": {"dtype": "<f8", "shape": [2], "base64": "!!"}},
    "w is cut off": lambda c: {**c, "w": {"dtype": "<f8", "shape": [2], "base64": "AAAA"}},
    "w is huge": lambda c: {**c, "w": {**c["w"], "values": [1e999, 1.0]}},
    "s is null": lambda c: {**c, "s": None},
    "s is an integer": lambda c: {**c, "s": 1},
    "an unknown grade": lambda c: {**c, "claims": {**c["claims"], "C4": {"grade": "certain", "reason": ""}}},
    "claims are a list": lambda c: {**c, "claims": list(c["claims"])},
    "hops are huge": lambda c: {**c, "next_hop": {**c["next_hop"], "values": [10**30, 1]}},
    "numerators are numbers": lambda c: {**c, "mean_numerators": [[1], [2]]},
    "the certificate is a list": lambda c: [c],
    "the certificate is null": lambda c: None,
}


@pytest.mark.parametrize("change", BROKEN.values(), ids=BROKEN.keys())
def test_anything_else_is_refused(content, change):
    with pytest.raises(CertificateRejected) as rejection:
        eg.Certificate.from_json(json.dumps(change(content)))
    assert rejection.value.claim == "format"


def test_nan_and_infinity_are_refused(content):
    for constant in ("NaN", "Infinity", "-Infinity"):
        text = json.dumps(content).replace(f'"s": {content["s"]}', f'"s": {constant}')
        assert constant in text
        with pytest.raises(CertificateRejected, match="format"):
            eg.Certificate.from_json(text)


def test_every_truncation_is_refused(content):
    text = json.dumps(content)
    for end in range(0, len(text), 97):
        with pytest.raises(CertificateRejected, match="format"):
            eg.Certificate.from_json(text[:end])


def test_a_binary_file_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CertificateRejected, match="format"):
        eg.Certificate.load(tmp_path / "file")


def test_deep_nesting_is_refused():
    with pytest.raises(CertificateRejected, match="format"):
        eg.Certificate.from_json("[" * 100_000)


def test_reasons_speak_of_the_file_and_not_of_python():
    game = eg.catalog.ring()
    text = eg.certify(game, eg.solve(game)).to_json()
    content = json.loads(text)
    without = {name: value for name, value in content.items() if name != "mean_upper"}
    cases = {
        "[]": "it holds a list",
        json.dumps(without): "the entries mean_upper are missing",
        json.dumps({**content, "extra": 1}): "the entries extra are unknown",
        text.replace('"s":', '"s": 1.0, "s":', 1): "an entry is given twice",
    }
    for written, reason in cases.items():
        with pytest.raises(CertificateRejected, match=reason):
            eg.Certificate.from_json(written)
