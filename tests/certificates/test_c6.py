"""C6: Krawczyk boxes and covers are sound, tampering is noticed, files round-trip, and the checker trusts no maker."""

import dataclasses
import json
import subprocess
import sys
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st

import expfam_game as eg
from expfam_game.certificates import c6_cover, c6_krawczyk, c6_search
from expfam_game.errors import CertificateRejected, CertificationFailed, InvalidInput, NotAnchored

F = eg.families


@pytest.fixture(scope="module")
def game():
    return eg.catalog.three_equilibria()


@pytest.fixture(scope="module")
def proof(game):
    return eg.certify_all(game, (-40, 40))


@pytest.fixture(scope="module")
def crowd():
    """Three agents with 1, 2 and 1 statistics; agent 2 has no data."""
    tables = [[0, 1, 2, 5], [[0, 1], [1, 0], [1, 1], [0, 3]], [1, 0, 2, 1]]
    weights = [["1/2", "1/4", "1/4"], ["1/4", "1/2", "1/4"], ["1/2", "1/2", 0]]
    counts = [[5, 2, 2, 1], [1, 1, 4, 1], None]
    return eg.HeterogeneousGame.from_rationals(tables, weights, state_counts=counts)


# ---------------------------------------------------------------------- one profile


def test_a_profile_is_certified_with_its_error(game):
    solution = eg.solve(game, eg.solvers.Newton(tolerance=1e-14))
    certificate = eg.certify(game, solution)
    assert eg.check(game, certificate)
    assert certificate.grade is eg.Grade.RIGOROUS
    assert not certificate.complete
    assert np.array_equal(certificate.natural[0], solution.natural.ravel())
    printed = np.array([-8.31632245959324, 8.34933489246095])  # to 1e-14
    assert np.all(np.abs(printed - solution.natural.ravel()) <= certificate.error_bound[0] + 1e-14)
    assert certificate.error_bound.max() < 1e-11  # det J = 1e-5: float64 knows this equilibrium to some 1e-12


def test_many_agents_with_many_statistics_are_certified(crowd):
    certificate = eg.certify(crowd, eg.solve(crowd), precision=200)
    assert eg.check(crowd, certificate)
    assert certificate.natural.shape == (1, 4)
    assert certificate.stable == (True,)
    far = eg.certificates.all_equilibria(crowd, (-2, 2), starts=6, seed=3)
    assert eg.check(crowd, far)
    assert not far.complete
    assert np.allclose(far.natural, certificate.natural, atol=1e-8)
    assert far.n_equilibria == 1


def test_a_profile_that_is_off_gets_a_box_that_reaches_the_equilibrium(game):
    exact = eg.certify_all(game).natural[2]
    moved = SimpleNamespace(natural=(exact + np.array([1e-4, -1e-4]))[:, None])
    certificate = eg.certify(game, moved)
    assert eg.check(game, certificate)
    assert 1e-4 < certificate.error_bound.max() < 1e-3
    with pytest.raises(CertificationFailed, match="too far"):
        eg.certify(game, SimpleNamespace(natural=[[5.0], [5.0]]))


def test_the_same_search_gives_the_same_certificate(crowd, game, proof):
    assert eg.certify_all(game, (-40, 40)).to_json() == proof.to_json()
    one, two = (eg.certificates.all_equilibria(crowd, (-1, 1), starts=3, seed=5) for _ in range(2))
    assert one.to_json() == two.to_json()


def test_a_profile_at_the_boundary_is_named():
    families = [F.Finite([0, 1, 2, 3]), F.Finite([0, 1, 4, 9])]
    game = eg.HeterogeneousGame(families, eg.Weights.complete(2, 0.5), data=[[0, 0], [0]])
    with pytest.raises(CertificationFailed, match=r"boundary of the mean space of agents 0, 1.*pseudo_count"):
        eg.certify(game, eg.solve(game, throw=False))
    none = eg.certify_all(game)
    assert eg.check(game, none)
    assert (none.n_equilibria, none.complete, none.everywhere) == (0, True, False)
    assert repr(none) == "EquilibriaCertificate(grade='rigorous', no equilibrium in the rectangle, one may lie outside)"
    assert "one may lie outside" in str(none)


def test_weights_without_a_way_to_data_are_refused():
    weights = eg.Weights.from_dense([[0.0, 1.0], [1.0, 0.0]])
    game = eg.HeterogeneousGame([F.Finite([0, 1, 2]), F.Finite([0, 1, 4])], weights, means=[None, None])
    profile = SimpleNamespace(natural=[[0.0], [0.0]])
    calls = (eg.certify_all, eg.certificates.all_equilibria, lambda g: eg.certify(g, profile))
    for call in calls:
        with pytest.raises(NotAnchored, match="agents 0, 1"):
            call(game)


def test_texts_claim_no_more_than_is_proved(game, proof, crowd):
    one = eg.certify(game, eg.solve(game))
    part, none = eg.certify_all(game, ((-3, 1), (-1, 3))), eg.certify_all(game, (5, 6))
    texts = {
        one: "1 equilibrium, maybe others",
        part: "2 equilibria, no others in the rectangle, some may lie outside",
        none: "no equilibrium in the rectangle, one may lie outside",
        proof: "3 equilibria, no others anywhere",
        dataclasses.replace(none, everywhere=True): "no equilibrium anywhere",
        eg.certify(crowd, eg.solve(crowd)): "1 equilibrium, maybe others",
    }
    for certificate, words in texts.items():
        assert words in repr(certificate)
        assert str(certificate).endswith(f"in all: {words}")
        assert "no other" not in str(certificate.claims["C6"])


# ---------------------------------------------------------------------- soundness of the pieces


def _mp_law(table, theta):
    weights = [mpmath.exp(mpmath.mpf(theta) * v) for v in table]  # a product of floats would be rounded
    return [w / mpmath.fsum(weights) for w in weights]


@given(seed=st.integers(0, 10**6), middle=st.floats(-8, 8), width=st.floats(1e-9, 20), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_c6_ranges_contain_every_value(seed, middle, width, share):
    """Bounds of μ_i and t_i against sums at 40 digits, anywhere in the interval."""
    rng = np.random.default_rng(seed)
    tables = rng.integers(-9, 10, size=(2, 4))
    tables[:, 0], tables[:, 1] = 0, [1, 2]
    game = eg.HeterogeneousGame.from_rationals(
        tables.tolist(), [["1/4", "3/4"], ["2/3", "1/3"]], state_counts=rng.integers(1, 9, size=(2, 4)).tolist()
    )
    low, high = middle - width, middle + width
    theta = min(max(low + share * (high - low), low), high)
    exact = game.exact_tables()
    with ctx.workprec(80):
        ranges = c6_cover.Ranges(c6_krawczyk.BallGame(exact))
        found = [(ranges.mean(i, theta), ranges.target(i, low, high)) for i in (0, 1)]
    with mpmath.workdps(40):
        for i, (mean, target) in enumerate(found):
            own = [int(v) for v in tables[i]]
            value = mpmath.fsum(p * v for p, v in zip(_mp_law(own, theta), own))
            assert mean[0] <= value <= mean[1]
            heard = mpmath.fsum(p * v for p, v in zip(_mp_law([int(v) for v in tables[1 - i]], theta), own))
            trust, m = exact.weights[i][i], exact.means[i][0]
            t = mpmath.mpf(trust.numerator) / trust.denominator * m.numerator / m.denominator
            t += mpmath.mpf((1 - trust).numerator) / (1 - trust).denominator * heard
            assert target[0] <= t <= target[1]


@given(seed=st.integers(0, 10**6), radius=st.floats(1e-6, 0.5))
@settings(max_examples=40, deadline=None)
def test_c6_derivatives_over_a_box_contain_those_at_its_points(seed, radius):
    rng = np.random.default_rng(seed)
    tables = [rng.integers(-3, 4, size=(4, d)).tolist() for d in (1, 2)]
    tables[0][0], tables[0][1], tables[1][:3] = [0], [4], [[0, 0], [4, 1], [1, 5]]
    game = eg.HeterogeneousGame.from_rationals(
        tables, [["1/4", "3/4"], ["1/2", "1/2"]], state_counts=[[1, 2, 3, 4]] * 2
    )
    centre = rng.normal(size=3)
    point = centre + radius * rng.uniform(-1, 1, size=3)
    with ctx.workprec(80):
        balls = c6_krawczyk.BallGame(game.exact_tables())
        fisher, coupling = balls.derivative([arb(c, radius) for c in centre.tolist()])
        residual = balls.residual([arb(p) for p in point.tolist()])
    parts = [point[:1], point[1:]]
    for box, value in ((fisher, game._fisher(parts)), (coupling, game._coupling(parts))):
        for i in range(3):
            for j in range(3):
                assert bool((box[i, j] + arb(0, 1e-12)).contains(arb(float(value[i, j]))))
    want = -np.concatenate([game.residual(parts)[0, :1], game.residual(parts)[1]])
    assert np.allclose([float(r) for r in residual], want, atol=1e-13)


def test_a_box_without_an_equilibrium_and_a_box_with_two_are_not_accepted(game, proof):
    with ctx.workprec(128):
        balls = c6_krawczyk.BallGame(game.exact_tables())
        centre = proof.natural[1]
        assert c6_krawczyk.contains_one(balls, centre - 1e-6, centre + 1e-6)
        assert not c6_krawczyk.contains_one(balls, centre + 1e-5, centre + 1e-4)
        both = np.sort(proof.natural[[1, 2]], axis=0)
        assert not c6_krawczyk.contains_one(balls, both[0] - 0.1, both[1] + 0.1)
        assert not c6_krawczyk.contains_at_most_one(balls, both[0] - 0.1, both[1] + 0.1)
        assert c6_krawczyk.contains_at_most_one(balls, centre + 1e-3, centre + 2e-3)


def test_a_rectangle_with_an_equilibrium_is_never_excluded(game, proof):
    with ctx.workprec(96):
        ranges = c6_cover.Ranges(c6_krawczyk.BallGame(game.exact_tables()))
        for point in proof.natural:
            for width in (1e-6, 1e-3, 1.0, 30.0):
                assert not ranges.excluded(tuple((p - width, p + width) for p in point))
        assert ranges.excluded(((20.0, 30.0), (20.0, 30.0)))
        assert not ranges.reaches_beyond(0, (-40.0, 40.0))
        assert ranges.reaches_beyond(0, (-5.0, 40.0))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=12, deadline=None)
def test_c6_misses_none_that_a_brute_scan_finds(seed):
    """Sign changes of the scalar map of random three-state games; the number of equilibria is odd (degree theory)."""
    rng = np.random.default_rng(seed)
    one, two = np.array([0, 1, rng.integers(2, 30)]), np.array([0, rng.integers(1, 8), rng.integers(1, 9)])
    two[2] += two[1]
    counts, share = [int(rng.integers(20, 2000)), 1, int(rng.integers(0, 2))], int(rng.integers(1, 10))
    weights = [[f"{share}/20", f"{20 - share}/20"], [f"{20 - share}/20", f"{share}/20"]]
    game = eg.HeterogeneousGame.from_rationals([one.tolist(), two.tolist()], weights, state_counts=[counts] * 2)
    try:
        certificate = eg.certify_all(game)
    except CertificationFailed:  # two equilibria all but merge
        return
    data, a = np.array(counts) / sum(counts), share / 20
    theta = np.concatenate([-np.logspace(1.55, -5, 6000), np.logspace(-5, 1.5, 3000)])

    def laws(table):
        weights = np.exp(np.outer(theta, table) - np.maximum(0, theta * table.max())[:, None])
        return weights / weights.sum(axis=1, keepdims=True)

    p, q = laws(one), laws(two)
    first = np.interp(a * data @ one + (1 - a) * q @ one, p @ one, theta)
    gap = q @ two - a * data @ two - (1 - a) * np.interp(first, theta, p @ two)
    changes = int(np.sum(np.sign(gap[1:]) != np.sign(gap[:-1])))
    assert certificate.everywhere
    assert certificate.n_equilibria >= changes
    assert certificate.n_equilibria % 2 == 1
    assert certificate.index.sum() == 1


def test_a_rectangle_that_is_too_small_to_hold_all_says_so(game):
    part = eg.certify_all(game, ((-3, 1), (-1, 3)))
    assert eg.check(game, part)
    assert (part.n_equilibria, part.complete, part.everywhere) == (2, True, False)
    none = eg.certify_all(game, (5, 6))
    assert eg.check(game, none)
    assert (none.n_equilibria, none.natural.shape) == (0, (0, 2))
    assert eg.EquilibriaCertificate.from_json(none.to_json()).n_equilibria == 0


def test_the_cover_finds_what_the_scan_missed(game, proof, monkeypatch):
    monkeypatch.setattr(c6_search, "_crossings", lambda *_: [])
    found = eg.certify_all(game, (-40, 40))
    assert eg.check(game, found)
    assert np.allclose(found.natural, proof.natural, atol=1e-12)


def test_an_equilibrium_on_the_edge_or_too_few_rectangles_are_reported(game):
    with pytest.raises(CertificationFailed, match="max_rectangles"):
        eg.certify_all(game, (-40, 40), max_rectangles=50)


# ---------------------------------------------------------------------- tampering


def _moved(array, k, by):
    other = array.copy()
    other[k] += by
    return other


def _dropped(c, k):
    keep = [i for i in range(c.n_equilibria) if i != k]
    names = ("natural", "lower", "upper", "rate_lower", "rate_upper", "index", "unique_lower", "unique_upper")
    return {name: getattr(c, name)[keep] for name in names}


TAMPERINGS = {
    "the profile moved": ("C6", lambda c: {"natural": _moved(c.natural, (0, 0), 1e-3)}),
    "a box moved": ("C6", lambda c: {n: _moved(getattr(c, n), 0, 1e-3) for n in ("natural", "lower", "upper")}),
    "a box too tight": ("C6", lambda c: {"lower": _moved(c.natural, 0, -1e-300), "upper": np.nextafter(c.natural, 99)}),
    "a box too wide": ("C6", lambda c: {"lower": _moved(c.lower, 2, -5.0)}),
    "a box twice": (
        "C6",
        lambda c: {
            n: getattr(c, n)[[0, 0, 2]] for n in ("natural", "lower", "upper", "rate_lower", "rate_upper", "index")
        },
    ),
    "an equilibrium left out": ("C6", lambda c: _dropped(c, 1)),
    "a rate too small": ("C6", lambda c: {"rate_upper": _moved(c.rate_upper, 1, -0.2)}),
    "a rate too large": ("C6", lambda c: {"rate_lower": _moved(c.rate_lower, 0, 0.2)}),
    "another index": ("C6", lambda c: {"index": -c.index}),
    "uniqueness too wide": ("C6", lambda c: {"unique_lower": _moved(c.unique_lower, 1, -9.0)}),
    "uniqueness elsewhere": (
        "C6",
        lambda c: {"unique_upper": _moved(c.unique_upper, 1, -1e-2), "unique_lower": _moved(c.unique_lower, 1, -1e-2)},
    ),
    "a cover cut short": ("C6", lambda c: {"cover": c.cover[:-1]}),
    "a cover too long": ("C6", lambda c: {"cover": c.cover + "e"}),
    "all excluded": ("C6", lambda c: {"cover": "e"}),
    "all unique": ("C6", lambda c: {"cover": "u"}),
    "a split replaced": ("C6", lambda c: {"cover": "e" + c.cover[1:]}),
    "cut too often": ("C6", lambda c: {"cover": "0" * 3000}),
    "a larger rectangle": ("C6", lambda c: {"search_upper": c.search_upper + 1.0}),
    "exact": ("C6", lambda c: {"claims": {"C6": eg.Claim("C6", eg.Grade.EXACT)}}),
    "another game": ("game", lambda c: {"fingerprint": "0" * 64}),
    "another sign": ("format", lambda c: {"cover": "x"}),
    "a cover that is no text": ("format", lambda c: {"cover": 3}),
    "no cover": ("format", lambda c: {"cover": None}),
    "NaN": ("format", lambda c: {"lower": _moved(c.lower, 0, np.nan)}),
    "another shape": ("format", lambda c: {"upper": c.upper[:, :1]}),
    "a flat profile": ("format", lambda c: {"natural": c.natural.ravel()}),
    "an index of two": ("format", lambda c: {"index": 2 * c.index}),
    "a box upside down": ("format", lambda c: {"lower": c.upper, "upper": c.lower}),
    "masked": ("format", lambda c: {"lower": np.ma.masked_array(c.lower)}),
    "silly precision": ("format", lambda c: {"precision": 2}),
    "a claim without grade": ("format", lambda c: {"claims": {"C6": eg.Claim("C6", None, "why")}}),
    "no claims": ("format", lambda c: {"claims": {}}),
    "another claim": ("format", lambda c: {"claims": {"C6": eg.Claim("C5", eg.Grade.RIGOROUS)}}),
    "a reason that is no text": ("format", lambda c: {"claims": {"C6": eg.Claim("C6", eg.Grade.RIGOROUS, 3)}}),
    "everywhere as a number": ("format", lambda c: {"everywhere": 1}),
    "a version that is no text": ("format", lambda c: {"package_version": 1}),
}


@pytest.mark.parametrize(("claim", "change"), TAMPERINGS.values(), ids=TAMPERINGS.keys())
def test_tampering_with_C6_is_rejected(game, proof, claim, change):
    with pytest.raises(CertificateRejected) as rejection:
        eg.check(game, dataclasses.replace(proof, **change(proof)))
    assert rejection.value.claim == claim


def test_everywhere_is_verified(game):
    part = eg.certify_all(game, ((-3, 1), (-1, 3)))
    with pytest.raises(CertificateRejected, match="outside the rectangle"):
        eg.check(game, dataclasses.replace(part, everywhere=True))


def test_every_single_sign_of_the_cover_matters(game, proof):
    """Turning one of the cuts into a claim that its whole rectangle is free of equilibria, or unique, is noticed."""
    with ctx.workprec(96):
        ranges = c6_cover.Ranges(c6_krawczyk.BallGame(game.exact_tables()))
        unique = [tuple(zip(a, b)) for a, b in zip(proof.unique_lower.tolist(), proof.unique_upper.tolist())]
        whole = ((-40.0, 40.0), (-40.0, 40.0))
        assert not c6_cover.first_gap(proof.cover, whole, ranges, unique)
        for k in [k for k, sign in enumerate(proof.cover) if sign in "01"][::40]:
            for sign in "eu":
                assert c6_cover.first_gap(proof.cover[:k] + sign + proof.cover[k + 1 :], whole, ranges, unique)


def test_certificates_hold_for_their_own_kind_of_game_only(game, proof):
    shared = eg.catalog.two_agents()
    mean = shared.equilibrium_mean
    other = eg.certify(shared, SimpleNamespace(mean=mean, natural=shared.family.to_natural(mean)))
    for wrong, certificate in ((shared, proof), (game, other)):
        with pytest.raises(CertificateRejected) as rejection:
            eg.check(wrong, certificate)
        assert rejection.value.claim == "game"
    counts = eg.HeterogeneousGame([F.Poisson(), F.Geometric()], game.weights, means=[[1.0], [2.0]])
    with pytest.raises(CertificateRejected, match="finite"):
        eg.check(counts, dataclasses.replace(proof, fingerprint=counts.fingerprint()))


def test_a_cover_for_other_agents_is_rejected(crowd, proof):
    one = eg.certify(crowd, eg.solve(crowd))
    ends = {"search_lower": np.full(4, -1.0), "search_upper": np.ones(4), "cover": "e"}
    forged = dataclasses.replace(one, **ends, unique_lower=one.lower, unique_upper=one.upper)
    with pytest.raises(CertificateRejected, match="two agents"):
        eg.check(crowd, forged)


# ---------------------------------------------------------------------- files


def test_files_round_trip(game, proof, tmp_path):
    proof.save(tmp_path / "c6.json")
    back = eg.EquilibriaCertificate.load(tmp_path / "c6.json")
    assert eg.check(game, back)
    assert back.to_json() == proof.to_json()
    assert back == proof
    assert hash(back) == hash(proof)
    assert back != dataclasses.replace(proof, everywhere=False)
    assert back != proof.to_json()
    assert "C6 rigorous" in str(back)
    assert repr(back) == "EquilibriaCertificate(grade='rigorous', 3 equilibria, no others anywhere)"


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c.pop("lower"),
        lambda c: c.update(extra=1),
        lambda c: c.update(schema=2),
        lambda c: c["headline"].update(n_equilibria=2),
        lambda c: c["claims"]["C6"].update(grade="perfect"),
        lambda c: c.update(claims=3),
        lambda c: c["natural"].update(dtype="<f4"),
    ],
)
def test_damaged_files_are_refused(proof, change):
    content = json.loads(proof.to_json())
    change(content)
    with pytest.raises(CertificateRejected) as rejection:
        eg.EquilibriaCertificate.from_json(json.dumps(content))
    assert rejection.value.claim == "format"


def test_files_and_arguments_of_the_wrong_kind_are_named(game, proof, tmp_path):
    proof.save(tmp_path / "c6.json")
    with pytest.raises(CertificateRejected, match="read it with EquilibriaCertificate.load"):
        eg.Certificate.load(tmp_path / "c6.json")
    shared = eg.catalog.two_agents()
    linear = eg.certify(shared, eg.solve(shared))
    linear.save(tmp_path / "c5.json")
    with pytest.raises(CertificateRejected, match="read it with Certificate.load"):
        eg.EquilibriaCertificate.load(tmp_path / "c5.json")
    assert eg.Certificate.load(tmp_path / "c5.json") == linear
    for path in (tmp_path / "c6.json", "c6.json"):
        with pytest.raises(CertificateRejected, match="read the file first, with Certificate.load"):
            eg.check(game, path)
    with pytest.raises(CertificateRejected, match=r"the game comes first: check\(game, certificate\)"):
        eg.check(proof, game)
    with pytest.raises(CertificateRejected, match="expected a Game or a HeterogeneousGame first, got str"):
        eg.check("game.toml", proof)


@pytest.mark.parametrize("text", ["", "3", "{", '{"format": 1, "format": 2}', '{"format": NaN}'])
def test_files_that_are_no_certificates_are_refused(text, tmp_path):
    with pytest.raises(CertificateRejected):
        eg.EquilibriaCertificate.from_json(text)
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CertificateRejected, match="text file"):
        eg.EquilibriaCertificate.load(tmp_path / "x")


def test_the_checker_loads_neither_the_search_nor_a_solver(proof, tmp_path):
    proof.save(tmp_path / "c6.json")
    code = (
        "import sys, expfam_game as eg\n"
        f"c = eg.EquilibriaCertificate.load({str(tmp_path / 'c6.json')!r})\n"
        "assert eg.check(eg.catalog.three_equilibria(), c)\n"
        "bad = [m for m in sys.modules if m.startswith('expfam_game.solvers') or m.endswith(('c6_search', 'certify'))]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda g, c: eg.certify(g, eg.solve(g), grade="exact"), "ball arithmetic only"),
        (lambda g, c: eg.certify(g, eg.solve(g), grade="best"), "grade is 'best'"),
        (lambda g, c: eg.certify(g, eg.solve(g), precision=3), "precision"),
        (lambda g, c: eg.certify(g, 3), "sol, is of type int; it must be a Solution, or anything that has natural$"),
        (lambda g, c: eg.certify_all(eg.catalog.two_agents()), "HeterogeneousGame"),
        (lambda g, c: eg.certify_all(c), "one statistic each"),
        (lambda g, c: eg.certify_all(g, (1, 0)), "low < high"),
        (lambda g, c: eg.certify_all(g, "wide"), "low < high"),
        (lambda g, c: eg.certify_all(g, precision=3), "precision"),
        (lambda g, c: eg.certificates.all_equilibria(eg.catalog.two_agents()), "HeterogeneousGame"),
        (lambda g, c: eg.certificates.all_equilibria(g, starts=0), "starts"),
        (lambda g, c: eg.certificates.all_equilibria(c, precision=3), "precision"),
    ],
)
def test_bad_calls_are_refused(game, crowd, call, words):
    with pytest.raises(InvalidInput, match=words):
        call(game, crowd)


def test_games_without_a_finite_space_cannot_be_certified():
    weights = eg.Weights.complete(2, 0.5)
    game = eg.HeterogeneousGame([F.Poisson(), F.Geometric()], weights, means=[[1.0], [2.0]])
    for call in (lambda: eg.certify_all(game), lambda: eg.certify(game, eg.solve(game))):
        with pytest.raises(InvalidInput, match="finite space"):
            call()


def test_a_search_without_bounds_is_refused():
    with pytest.raises(eg.errors.InvalidInput, match="both within"):
        eg.certify_all(eg.catalog.three_equilibria(), box=(-1.7e308, 1.7e308))
