"""The conditional auto-encoder against finite differences, Gauss–Hermite quadrature, brute force, and T12."""

import pickle

import numpy as np
import pytest

from expfam_game.datasets import digits
from expfam_game.errors import InvalidData, InvalidInput, NotFitted
from expfam_game.learners import ConditionalVAE, autoencoder
from expfam_game.learners.networks import Adam, BinaryCodes, GaussianCodes, Network
from expfam_game.learners.objectives import Rows, decoder_gradients, elbo_gradients, encoder_gradients, systematic
from expfam_game.samples import SampleSet

FEATURES, CLASSES = 5, 3


def some_rows(n=60, seed=0, n_features=FEATURES, n_classes=CLASSES):
    """Features that depend on the class and on one another."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    level = rng.normal(size=(n, 1)) + labels[:, None] - 1
    x = rng.random((n, n_features)) < 1 / (1 + np.exp(-2 * level))
    return np.column_stack([x, labels]).astype(np.uint8)


def small_model(**options):
    defaults = {"n_codes": 1, "n_hidden": 4, "n_classes": CLASSES, "epochs": 5, "batch_size": 20, "dtype": "float64"}
    return ConditionalVAE(**(defaults | options)).fit([some_rows()])


# ---------------------------------------------------------------------- gradients


def networks(codes, hidden, seed=0):
    rng = np.random.default_rng(seed)
    kind = np.dtype(np.float64)
    encoder = Network([FEATURES, *hidden, codes.n_outputs], CLASSES, 5.0, rng, kind)
    decoder = Network([codes.n_codes, *hidden[::-1], FEATURES], CLASSES, 5.0, rng, kind)
    for network in (encoder, decoder):  # biases must not stay at zero, nor layers saturate
        network.parameters = [0.5 * rng.standard_normal(p.shape) for p in network.parameters]
        network.parameters[0] *= 0.2
    return encoder, decoder


def some_batch(masked, seed=1, n=7):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 2, size=(n, FEATURES)).astype(float)
    mask = (rng.random(x.shape) < 0.7).astype(float) if masked else None
    return Rows(x if mask is None else x * mask, mask, rng.integers(CLASSES, size=n), np.full(n, 1 / n))


def check_against_differences(loss, parameters, gradients):
    """Central differences at steps h and h/2: their difference bounds the truncation error of the second.

    The truncation errors are h² f‴/6 + O(h⁴) and a quarter of that, so the second is off by a third of the difference;
    all of it is allowed, and the rounding of the two values of f, each a sum of some hundred terms.
    """
    h = 1e-4
    assert len(parameters) == len(gradients)
    for block, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
        assert gradient.shape == parameter.shape
        assert np.abs(gradient).max() > 1e-6, f"block {block} has no gradient"
        for index in np.ndindex(parameter.shape):
            kept, found, size = parameter[index], [], 0.0
            for step in (h, h / 2):
                parameter[index] = kept + step
                above = loss()
                parameter[index] = kept - step
                below = loss()
                parameter[index] = kept
                found.append((above - below) / (2 * step))
                size = max(size, abs(above), abs(below))
            bound = abs(found[0] - found[1]) + 1000 * np.finfo(float).eps * size / h
            assert bound < 1e-4 * max(1.0, abs(found[1]))
            assert abs(gradient[index] - found[1]) <= bound, f"block {block}, entry {index}"


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("hidden", [[], [4], [4, 3]])
def test_gradients_of_the_lower_bound(hidden, masked):
    codes = GaussianCodes(2)
    encoder, decoder = networks(codes, hidden)
    batch, noise = some_batch(masked), np.random.default_rng(2).standard_normal((7, 2))

    def loss():
        return -elbo_gradients(encoder, decoder, codes, batch, noise)[0].mean()

    _, of_encoder, of_decoder = elbo_gradients(encoder, decoder, codes, batch, noise)
    check_against_differences(loss, encoder.parameters, of_encoder)
    check_against_differences(loss, decoder.parameters, of_decoder)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("codes", [GaussianCodes(2), BinaryCodes(2)])
def test_gradients_of_both_players_of_T12(codes, masked):
    encoder, decoder = networks(codes, [4, 3])
    batch, rng = some_batch(masked), np.random.default_rng(2)
    z = codes.prior(codes.noise((7,), rng, np.float64))
    _, gradients = decoder_gradients(decoder, batch, z)
    check_against_differences(lambda: -decoder_gradients(decoder, batch, z)[0].mean(), decoder.parameters, gradients)
    _, gradients = encoder_gradients(encoder, codes, batch, z)
    check_against_differences(
        lambda: -encoder_gradients(encoder, codes, batch, z)[0].mean(), encoder.parameters, gradients
    )


def test_adam_is_its_published_recursion():
    rng = np.random.default_rng(0)
    parameter, adam = rng.normal(size=(3, 2)), Adam()
    expected, mean, square = parameter.copy(), 0.0, 0.0
    for t in range(1, 6):
        gradient = rng.normal(size=(3, 2))
        adam.step([parameter], [gradient], 0.01)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        expected -= 0.01 * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(parameter, expected, rtol=1e-12)


def test_codes_against_scipy():
    from scipy import integrate, stats

    gaussian, outputs = GaussianCodes(1), np.array([0.3, -0.7])
    mean, log_scale = (float(part[0]) for part in gaussian.parts(outputs))
    posterior = stats.norm(mean, np.exp(log_scale))
    assert gaussian.log_prob(outputs, np.array([1.2])) == pytest.approx(posterior.logpdf(1.2), rel=1e-13)
    assert gaussian.log_prior(np.array([1.2])) == pytest.approx(stats.norm.logpdf(1.2), rel=1e-13)
    exact, _ = integrate.quad(
        lambda z: posterior.pdf(z) * (posterior.logpdf(z) - stats.norm.logpdf(z)), mean - 12, mean + 12
    )
    assert gaussian.divergence(outputs) == pytest.approx(exact, rel=1e-9)
    assert np.isfinite(gaussian.log_prob(np.array([0.0, -1e6]), np.array([1.0])))
    binary, logits = BinaryCodes(2), np.array([0.4, -2.0])
    total = sum(np.exp(binary.log_prob(logits, np.array([a, b]))) for a in (-1, 1) for b in (-1, 1))
    assert total == pytest.approx(1, rel=1e-14)
    assert binary.log_prob(logits, np.array([1, -1])) == pytest.approx(
        np.log(stats.bernoulli.pmf([1, 0], 1 / (1 + np.exp(-logits)))).sum(), rel=1e-13
    )


# ---------------------------------------------------------------------- probabilities


def plain_decoder(model, z, c):
    """P(x_d = 1 | z, c) by plain loops over the parameters of one hidden layer."""
    table, first, second, bias = model.decoder_.parameters
    hidden = [
        np.tanh(sum(z[j] * first[j, h] for j in range(len(z))) + model.label_scale * table[c, h])
        for h in range(first.shape[1])
    ]
    return [
        1 / (1 + np.exp(-(bias[d] + sum(hidden[h] * second[h, d] for h in range(len(hidden))))))
        for d in range(len(bias))
    ]


def exact_joint(model, row, known, nodes=60):
    """p(c, what is observed of x) of each class by Gauss–Hermite quadrature over the one code, shape (C,)."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    result = np.zeros(CLASSES)
    for c in range(CLASSES):
        for z, weight in zip(points, weights / np.sqrt(2 * np.pi), strict=True):
            p = plain_decoder(model, [z], c)
            shown = [p[d] if row[d] else 1 - p[d] for d in range(FEATURES) if known[d]]
            result[c] += model.class_prob_[c] * weight * np.prod(shown)
    return result


MASKS = [[True] * 5 + [True], [True] * 5 + [False], [True, False, True, False, True, True], [False] * 5 + [False]]


@pytest.mark.parametrize("objective", ["elbo", "symmetric"])
@pytest.mark.parametrize("known", MASKS)
def test_log_prob_is_the_integral_within_its_error(objective, known):
    model = small_model(objective=objective)
    rows = some_rows(9, seed=4)
    found, error = model.log_prob_with_error(rows, known, n_draws=20000)
    exact = []
    for row in rows:
        joint = exact_joint(model, row, known)
        coarse = exact_joint(model, row, known, nodes=30)
        np.testing.assert_allclose(coarse, joint, rtol=1e-6)  # the oracle has converged
        exact.append(np.log(joint[row[-1]] if known[-1] else joint.sum()))
    assert error.max() < 0.05
    # Errors are normal at 20000 draws: 7 of them happen once in 10¹¹; 1e-6 is the quadrature's.
    assert np.all(np.abs(found - exact) <= 7 * error + 1e-6)


def test_the_evidence_lower_bound_is_one():
    """With one draw per row the mean over rows is the lower bound; it stays below the exact log-likelihood."""
    model = small_model()
    rows = some_rows(9, seed=4)
    exact = np.array([np.log(exact_joint(model, row, MASKS[0])[row[-1]]) for row in rows])
    copies = np.repeat(rows, 4000, axis=0)
    bounds = {k: model.log_prob(copies, n_draws=k).reshape(9, 4000) for k in (1, 8)}
    for bound in bounds.values():
        assert np.all(bound.mean(axis=1) <= exact + 7 * bound.std(axis=1) / np.sqrt(4000))
    gap = exact - bounds[1].mean(axis=1)
    outputs = model.encoder_.output(2.0 * rows[:, :-1] - 1, rows[:, -1].astype(int))
    for row, gap_of_row, output in zip(rows, gap, outputs, strict=True):
        assert gap_of_row == pytest.approx(exact_gap(model, row, output), abs=7 * bounds[1].std() / np.sqrt(4000))
    assert (exact - bounds[8].mean(axis=1)).mean() < gap.mean()


def exact_gap(model, row, output, nodes=60):
    """log p(x, c) − bound, by quadrature over the posterior instead of draws."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    mean, scale = output[0], np.exp(8 * np.tanh(output[1] / 8))
    bound = np.log(model.class_prob_[row[-1]]) - 0.5 * (mean**2 + scale**2 - 1) + np.log(scale)
    for point, weight in zip(points, weights / np.sqrt(2 * np.pi), strict=True):
        p = plain_decoder(model, [mean + scale * point], row[-1])
        bound += weight * sum(np.log(p[d] if row[d] else 1 - p[d]) for d in range(FEATURES))
    return np.log(exact_joint(model, row, MASKS[0])[row[-1]]) - bound


def test_predict_proba_is_bayes_rule_and_ignores_the_label():
    model = small_model()
    rows = some_rows(9, seed=5)
    found = model.predict_proba(rows, n_draws=20000)
    exact = np.array([exact_joint(model, row, MASKS[1]) for row in rows])
    exact /= exact.sum(axis=1, keepdims=True)
    # d p(c|x) = p(c|x) (d log p(c,x) − d log p(x)), each of these known to the standard error of log_prob.
    joint = np.stack(
        [
            model.log_prob_with_error(np.column_stack([rows[:, :-1], np.full(9, c)]), n_draws=20000)[1]
            for c in range(CLASSES)
        ],
        axis=1,
    )
    assert np.all(np.abs(found - exact) <= 7 * exact * (joint + joint.max(axis=1, keepdims=True)) + 1e-6)
    other = rows.copy()
    other[:, -1] = 99
    np.testing.assert_array_equal(model.predict_proba(other, n_draws=50), model.predict_proba(rows, n_draws=50))
    np.testing.assert_array_equal(model.predict(rows), np.argmax(model.predict_proba(rows), axis=1))


def test_complete_draws_from_the_conditional_law():
    """Two missing pixels and the label, against the posterior by quadrature."""
    model = small_model(n_draws=40)
    known = np.array([True, False, True, False, True, False])
    n = 6000
    row = np.array([1, 0, 0, 0, 1, 0])
    exact = np.zeros((2, 2, CLASSES))
    for a in (0, 1):
        for b in (0, 1):
            exact[a, b] = exact_joint(model, [1, a, 0, b, 1], MASKS[1], nodes=40)
    exact /= exact.sum()
    drawn = model.complete(np.tile(np.where(known, row, 77), (n, 1)), known, seed=3, n_sweeps=3)
    np.testing.assert_array_equal(drawn[:, known], np.tile(row[known], (n, 1)))
    counts = np.zeros((2, 2, CLASSES))
    np.add.at(counts, (drawn[:, 1].astype(int), drawn[:, 3].astype(int), drawn[:, 5].astype(int)), 1)
    # Rows are independent. Resampling among 40 candidates is biased by at most about (weight variance)/40.
    _, error = model.log_prob_with_error(row[None], known, n_draws=40)
    bias = error[0] ** 2
    assert bias < 0.02
    assert np.all(np.abs(counts / n - exact) <= 7 * np.sqrt(exact * (1 - exact) / n) + 2 * bias * exact)


def test_missing_values_may_be_anything_and_blocks_do_not_matter(monkeypatch):
    model = small_model()
    rows = some_rows(30, seed=6).astype(float)
    known = np.random.default_rng(0).random(rows.shape) < 0.6
    hidden = np.where(known, rows, np.nan)
    whole = model.log_prob(rows, known)
    np.testing.assert_array_equal(model.log_prob(hidden, known), whole)
    completed = model.complete(hidden, known, seed=1)
    np.testing.assert_array_equal(completed[known], rows[known])
    assert set(np.unique(completed[:, :-1])) <= {0, 1}
    monkeypatch.setattr(autoencoder, "BLOCK", 50)
    np.testing.assert_allclose(model.log_prob(rows, known), whole, rtol=1e-12)


def test_a_class_that_was_never_seen():
    rows = some_rows()
    model = ConditionalVAE(1, 4, n_classes=CLASSES + 1, epochs=2).fit([rows])
    unseen = np.append(rows[0, :-1], CLASSES)[None]
    assert model.log_prob(unseen) == -np.inf
    assert np.all(model.predict_proba(rows)[:, CLASSES] == 0)
    with pytest.raises(InvalidData, match="has not seen"):
        model.complete(unseen, [False] * FEATURES + [True])
    with pytest.raises(InvalidInput, match="classes out of those seen"):
        model.sample(1, labels=[CLASSES])


# ---------------------------------------------------------------------- sampling


def test_samples_have_the_means_of_the_model():
    model = small_model()
    n = 40000
    points, weights = np.polynomial.hermite_e.hermegauss(40)
    mean = np.zeros((CLASSES, FEATURES))
    for c in range(CLASSES):
        for z, weight in zip(points, weights / np.sqrt(2 * np.pi), strict=True):
            mean[c] += weight * np.array(plain_decoder(model, [z], c))
    drawn = model.sample(n, seed=1, labels=np.arange(n) % CLASSES)
    for c in range(CLASSES):
        mine = drawn[drawn[:, -1] == c][:, :-1]
        assert np.all(np.abs(mine.mean(axis=0) - mean[c]) <= 7 * np.sqrt(mean[c] * (1 - mean[c]) / len(mine)))
    np.testing.assert_array_equal(model.sample(50, seed=2), model.sample(50, seed=2))


def test_stratified_samples_are_weighted_back():
    rows = some_rows()
    model = ConditionalVAE(1, 4, n_classes=CLASSES, epochs=1)
    model.fit([SampleSet(rows, row_weights=np.array([1.0, 2.0, 5.0])[rows[:, -1]])])
    np.testing.assert_allclose(model.class_prob_, [1 / 8, 2 / 8, 5 / 8], rtol=1e-12)
    drawn = model.sample_stratified(31, seed=0)
    counts = np.bincount(drawn.values[:, -1], minlength=3)
    assert counts.max() - counts.min() <= 1
    share = np.bincount(drawn.values[:, -1], drawn.normalized_weights())
    np.testing.assert_allclose(share, model.class_prob_, rtol=1e-12)


@pytest.mark.parametrize("label", [0, 2, -1])
def test_the_label_may_be_any_column(label):
    rows = some_rows()
    order = list(range(FEATURES))
    order.insert(label % (FEATURES + 1), FEATURES)
    last, elsewhere = (ConditionalVAE(1, 4, n_classes=CLASSES, label=at, epochs=2) for at in (-1, label))
    last.fit([rows])
    elsewhere.fit([rows[:, order]])
    np.testing.assert_array_equal(last.sample(20, seed=1)[:, order], elsewhere.sample(20, seed=1))
    np.testing.assert_array_equal(last.predict_proba(rows), elsewhere.predict_proba(rows[:, order]))


def test_without_a_label_variable():
    x = some_rows()[:, :-1]
    model = ConditionalVAE(1, 4, n_classes=None, epochs=2).fit([x])
    assert model.sample(7, seed=0).shape == (7, FEATURES)
    assert model.sample_stratified(7).values.shape == (7, FEATURES)
    np.testing.assert_array_equal(model.predict_proba(x), np.ones((len(x), 1)))


# ---------------------------------------------------------------------- training


def parameters(model):
    return [*model.encoder_.parameters, *model.decoder_.parameters, model.class_prob_]


def assert_same(one, other, **tolerance):
    for a, b in zip(parameters(one), parameters(other), strict=True):
        np.testing.assert_allclose(a, b, **tolerance) if tolerance else np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("objective", ["elbo", "symmetric"])
def test_fitting_is_deterministic_and_survives_pickling(objective):
    one, other = small_model(objective=objective, seed=3), small_model(objective=objective, seed=3)
    assert_same(one, other)
    different = small_model(objective=objective, seed=4)
    assert any(not np.array_equal(a, b) for a, b in zip(parameters(one), parameters(different), strict=True))
    restored = pickle.loads(pickle.dumps(one))
    for model in (one, restored):  # optimiser and random numbers go on where they stopped
        model.fit([some_rows(seed=8)])
    assert_same(one, restored)


def test_only_proportions_of_weights_count():
    rows = some_rows()
    models = [
        ConditionalVAE(1, 4, n_classes=CLASSES, epochs=3).fit([rows[:40], rows[40:]], weights)
        for weights in ([3.0, 1.0], [3e-20, 1e-20], [3e20, 1e20])
    ]
    assert_same(models[0], models[1], rtol=1e-9)
    assert_same(models[0], models[2], rtol=1e-9)
    np.testing.assert_allclose(models[0].class_prob_.sum(), 1, rtol=1e-14)


def test_rows_and_sets_of_weight_zero_leave_no_trace():
    rows = some_rows()
    weights = np.where(np.arange(60) < 30, 1.0, 0.0)
    one = ConditionalVAE(1, 4, n_classes=CLASSES, epochs=3).fit([SampleSet(rows, row_weights=weights)])
    other = ConditionalVAE(1, 4, n_classes=CLASSES, epochs=3).fit([rows[:30], rows[30:]], [1.0, 0.0])
    assert_same(one, other)


def test_systematic_sampling_keeps_to_the_weights():
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(np.sort(systematic(np.full(1000, 0.1), 1000, rng)), np.arange(1000))
    weights = rng.random(500) ** 4
    for _ in range(20):
        counts = np.bincount(systematic(weights, 500, rng), minlength=500)
        assert np.all(np.abs(counts - 500 * weights / weights.sum()) < 1)
    assert set(systematic(np.array([0.0, 1.0, 0.0]), 3, rng)) == {1}


def test_warm_start_goes_on_and_cold_start_begins_anew():
    rows = some_rows()
    warm = ConditionalVAE(1, 4, n_classes=CLASSES, epochs=3).fit([rows])
    steps = warm._decoder_steps.steps
    assert warm.fit([rows])._decoder_steps.steps == 2 * steps
    cold = ConditionalVAE(1, 4, n_classes=CLASSES, epochs=3, warm_start=False).fit([rows])
    first = [p.copy() for p in parameters(cold)]
    cold.fit([rows])
    for a, b in zip(first, parameters(cold), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(cold.partial_fit([rows]).history_) == 1
    assert cold._decoder_steps.steps == steps + steps // 3


@pytest.mark.parametrize("objective", ["elbo", "symmetric"])
def test_digits_are_learned(objective):
    """Far above chance on digits held out; both objectives; the label is not ignored (5 × its indicator)."""
    images, labels = digits()
    rows = np.column_stack([images, labels])
    model = ConditionalVAE(4, 48, objective=objective, epochs=20, batch_size=50).fit([rows[:1200]])
    accuracy = (model.predict(rows[1200:]) == labels[1200:]).mean()
    assert accuracy > 0.8
    assert model.history_[-1] > model.history_[0] + 3
    drawn = model.sample(500, seed=0)
    assert (model.predict(drawn) == drawn[:, -1]).mean() > 0.8


def test_missing_labels_help_where_few_are_known():
    """A hundred labelled digits among 1797: better than the hundred alone, and than the .10 of chance by far."""
    images, labels = digits()
    rows = np.column_stack([images, labels])
    known = np.ones(rows.shape, dtype=bool)
    known[100:, -1] = False
    options = {"n_codes": 2, "n_hidden": 32, "batch_size": 50}
    few = ConditionalVAE(**options, epochs=300).fit([rows[:100]])
    all_ = ConditionalVAE(**options, epochs=20).fit([SampleSet(np.where(known, rows, 77), known)])
    accuracy_few, accuracy = ((model.predict(rows[100:]) == labels[100:]).mean() for model in (few, all_))
    assert accuracy_few > 0.6
    assert accuracy > accuracy_few + 0.01
    assert all_.class_prob_.sum() == pytest.approx(1, rel=1e-12)


def test_missing_pixels_are_learned_around():
    """Half of the pixels of every image are hidden; the class is still recognised from whole images."""
    images, labels = digits()
    keep = labels < 3
    rows = np.column_stack([images, labels])[keep]
    known = np.random.default_rng(0).random(rows.shape) < 0.5
    known[:, -1] = True
    for objective in ("elbo", "symmetric"):
        model = ConditionalVAE(2, 32, n_classes=3, epochs=15, batch_size=30, objective=objective)
        model.fit([SampleSet(np.where(known, rows, rows == 0), known)])  # wrong wherever it is hidden
        assert (model.predict(rows) == rows[:, -1]).mean() > 0.85


def test_an_agent_without_labels_stays_silent_until_it_meets_some():
    rows = some_rows()
    hidden = SampleSet(rows, [True] * FEATURES + [False])
    model = ConditionalVAE(1, 4, n_classes=CLASSES, epochs=2).fit([hidden])
    assert model.sample(5).shape == (0, FEATURES + 1)
    assert model.sample_stratified(5).n == 0
    with pytest.raises(NotFitted, match="defined the classes"):
        model.predict_proba(rows)
    model.fit([hidden, rows[:12]], [0.5, 0.5])
    assert model.sample(5).shape == (5, FEATURES + 1)
    assert model.class_prob_.sum() == pytest.approx(1, rel=1e-12)


# ---------------------------------------------------------------------- T12


def test_T12_symmetric_learning_of_full_tables_reaches_a_coupling():
    """One pixel and one sign: linear networks are full 2 × 2 tables, so equilibria are couplings of data and prior.

    The learning rate falls to zero, so the noise of the stochastic gradients does too; it starts far from any coupling.
    """
    data = np.array([0.3, 0.7])
    x = np.repeat([[0], [1]], [300, 700], axis=0)
    reached = []
    for seed in range(3):
        model = ConditionalVAE(
            1,
            [],
            n_classes=None,
            objective="symmetric",
            codes="binary",
            epochs=150,
            batch_size=100,
            learning_rate=0.03,
            label_scale=1.0,
            seed=seed,
            dtype="float64",
        )
        model.fit([x])
        decoder = np.array([[1 - p, p] for p in (decoder_table(model, z) for z in (-1, 1))])
        encoder = np.array([[1 - q, q] for q in (encoder_table(model, s) for s in (-1, 1))])
        joint_p = 0.5 * decoder.T  # P(x, z) = prior(z) p(x | z)
        joint_q = data[:, None] * encoder  # Q(x, z) = data(x) q(z | x)
        assert np.abs(joint_p - joint_q).max() < 0.02
        assert np.abs(joint_p.sum(axis=1) - data).max() < 0.02
        assert np.abs(joint_q.sum(axis=0) - 0.5).max() < 0.02
        reached.append(joint_p[0, 0])
    # T12, 2: the equilibrium is not unique; different starts lead to different couplings.
    assert np.ptp(reached) > 0.04


def decoder_table(model, z):
    table, weight = model.decoder_.parameters
    return float(1 / (1 + np.exp(-(z * weight[0, 0] + table[0, 0]))))


def encoder_table(model, sign):
    table, weight = model.encoder_.parameters
    return float(1 / (1 + np.exp(-(sign * weight[0, 0] + table[0, 0]))))


# ---------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "gan"}, "objective is 'gan'"),
        ({"codes": "integer"}, "codes is 'integer'"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"codes": "binary"}, "choose objective='symmetric'"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"label_scale": np.nan}, "label_scale is nan"),
        ({"n_codes": 0}, "n_codes is 0"),
        ({"n_hidden": [4, 0]}, "n_hidden is 0"),
        ({"epochs": 1.5}, "epochs is 1.5"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"n_draws": 0}, "n_draws is 0"),
        ({"n_classes": 0}, "n_classes is 0"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(InvalidInput, match=message):
        ConditionalVAE(**options)


def test_wrong_data_are_refused():
    rows = some_rows()
    with pytest.raises(NotFitted, match="call fit first"):
        ConditionalVAE().sample(1)
    with pytest.raises(NotFitted, match="call fit first"):
        ConditionalVAE().log_prob(rows)
    model = small_model()
    with pytest.raises(InvalidData, match="row 0, feature 1 is 7"):
        model.fit([[[0, 7, 0, 0, 0, 1]]])
    with pytest.raises(InvalidData, match="label"):
        model.fit([[[0, 1, 0, 0, 0, 9]]])
    with pytest.raises(InvalidData, match="4 features; this model was fitted to 5"):
        model.fit([rows[:, 1:]])
    with pytest.raises(InvalidData, match="4 features; this model was fitted to 5"):
        model.log_prob(rows[:, 1:])
    with pytest.raises(InvalidInput, match="n is 2; 3 classes"):
        model.sample_stratified(2)
    with pytest.raises(InvalidInput, match="n_draws is 0"):
        model.log_prob(rows, n_draws=0)
    with pytest.raises(InvalidInput, match="n_sweeps is -1"):
        model.complete(rows, [False] * FEATURES + [True], n_sweeps=-1)
