"""Conditional variational auto-encoder of binary images: the learner that is no exponential family.

    p(c, z, x) = p(c) p(z) Π_d Bernoulli(x_d | decoder(z, c)),        q(z | x, c) given by encoder(x, c).

Two ways to learn it: the evidence lower bound, and symmetric equilibrium learning, where decoder and encoder are two
agents that train on each other's completions (T12).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np

from expfam_game._typing import AnyArray, ArrayLike, BoolArray, FloatArray, IntArray, Seed
from expfam_game.errors import InvalidData, InvalidInput
from expfam_game.learners.checks import check_binary, checked_count, set_weights
from expfam_game.learners.labelled import LabelledModel
from expfam_game.learners.log_space import draw_index, log_sum_exp
from expfam_game.learners.networks import Adam, BinaryCodes, GaussianCodes, Network, bernoulli_log_prob, sigmoid
from expfam_game.learners.objectives import Rows, decoder_gradients, elbo_gradients, encoder_gradients, systematic
from expfam_game.samples import SampleSet, as_array, pool

BLOCK = 4096
"""Rows times draws decoded together, which bounds the memory."""

DEFENCE, DEFENCE_INCOMPLETE = 8, 2
"""One importance draw in so many comes from the prior, for complete rows and for others."""

START_GAIN = 2.0
"""Of the encoder's first weights: deviations from the mean image are smaller than the ±1 of the pixels."""

PIXEL_BOUND = 0.01
"""Output biases start at the log-odds of the pixels' means, held in [PIXEL_BOUND, 1 − PIXEL_BOUND]."""


class ConditionalVAE(LabelledModel):
    """Variational auto-encoder of binary features, conditional on a class label.

    Parameters
    ----------
    n_codes : int
        Dimension d of the code z.
    n_hidden : int or sequence of int
        Widths of the hidden layers of both networks, nearest to the image first (the decoder has them in reverse). An
        empty sequence makes both networks linear.
    n_classes : int or None
        Number of classes C. None: there is no label variable.
    label : int
        The column of the label; negative numbers count from the last column.
    objective : {"elbo", "symmetric"}
        Lower bound of the likelihood, or symmetric equilibrium learning.
    codes : {"gaussian", "binary"}
        Binary codes (signs with a uniform prior) need the symmetric objective.
    epochs : int
        Passes over the samples in one ``fit``; the learning rate falls linearly to zero over them.
    batch_size : int
    learning_rate : float
    label_scale : float
        The label enters both networks as this multiple of its indicator vector; small values let a decoder ignore it.
    n_draws : int
        Draws of the code per class in ``log_prob``, ``predict_proba`` and ``complete``.
    warm_start : bool
        Whether ``fit`` on a fitted model goes on from its parameters and the state of its optimiser.
    seed : int, SeedSequence or Generator
        Of the start and of the stochastic gradients.
    dtype : {"float32", "float64"}
        Of the networks. Log-probabilities of single precision carry relative errors of about 10⁻⁶, far below their
        Monte-Carlo errors.

    Attributes
    ----------
    encoder_, decoder_ : Network
    class_prob_ : ndarray, shape (C,)
        p(c): the (expected) weight of each class, in closed form.
    seen_ : ndarray of bool, shape (C,)
        The classes that labels have defined.
    history_ : list of float
        Mean evidence lower bound of log p(x | c) met in each epoch of the last ``fit``, in nats. Neither objective
        makes it grow in every epoch, since gradients are stochastic; and the symmetric one is about something else.
    n_features_ : int

    Notes
    -----
    *Objectives.* "elbo" maximises E log p(x | z, c) − KL(q(z | x, c) ‖ p(z)) by reparametrisation. "symmetric": the
    decoder maximises log p(x | z, c) on data x with z ~ q(z | x, c), the encoder maximises log q(z | x, c) on z ~ p(z)
    with x ~ p(x | z, c). Neither differentiates through the other. T12 describes this game for full tables: equilibria
    are couplings, and there are many. For networks it is a heuristic with that motive: large learning rates (2·10⁻³ and
    more on MNIST) and two hidden layers were seen to end near the useless coupling in which codes are independent of
    images.

    *Weights.* Rows are drawn in proportion to their weights (systematic sampling anew in each epoch), so only
    proportions count, and equal weights mean that every row comes once an epoch.

    *Missing features* are left out of the likelihood, and the encoder sees 0 for them (−1 and +1 for the others). In
    symmetric learning the decoder's samples get the masks of the data before the encoder sees them.

    *Idempotence.* p(c) is an expected weight, nothing added, so it survives a refit to the model's own samples. Of the
    networks the same can be said in the limit of many samples only where the encoder is the exact posterior of the
    decoder: there the expected gradients of both objectives vanish on the model's own law. Elsewhere a refit moves
    them.

    *Missing labels.* In each epoch such rows get a label drawn from p(c | x) (stochastic EM), after the classes have
    been learned from labelled rows alone where they are new. If no label has ever been observed, ``fit`` changes
    nothing and ``sample`` returns no rows.

    *Probabilities* are importance-sampled with K = ``n_draws`` codes z_k per class, the same noise for all classes:
    p(x | c) ≈ (1/K) Σ_k p(x | z_k, c) p(z_k) / r(z_k). One draw in eight comes from the prior, one in two where
    features are missing (an encoder may never have met such rows), the others from q; r is that mixture, which bounds
    the weights, so standard errors exist. The estimate is unbiased for p, so ``log_prob`` is a lower bound in
    expectation (for K = 1 the evidence lower bound), and ``predict_proba`` is Bayes' rule with the same estimates; both
    are exact as K grows. Each row of a table has noise of its own.

    References
    ----------
    D. Kingma, M. Welling (2014), "Auto-encoding variational Bayes", arXiv:1312.6114.
    B. Flach, D. Schlesinger, A. Shekhovtsov, "Symmetric equilibrium learning of VAEs", arXiv:2307.09883.
    T. Hesterberg (1995), "Weighted average importance sampling and defensive mixture distributions".
    Y. Burda, R. Grosse, R. Salakhutdinov (2016), "Importance weighted autoencoders", arXiv:1509.00519.
    P.-A. Mattei, J. Frellsen (2018), "Leveraging the exact likelihood of deep latent variable models",
    arXiv:1802.04826.

    Examples
    --------
    >>> import numpy as np
    >>> from expfam_game.learners import ConditionalVAE
    >>> rng = np.random.default_rng(0)
    >>> labels = rng.integers(2, size=400)
    >>> x = rng.random((400, 6)) < np.where(labels[:, None] == 1, 0.9, 0.1)
    >>> model = ConditionalVAE(2, n_hidden=8, n_classes=2, epochs=20).fit([np.column_stack([x, labels])])
    >>> model.predict([[1, 1, 1, 1, 1, 1, -1], [0, 0, 0, 0, 0, 0, -1]])
    array([1, 0])
    >>> model.sample(3, seed=1).shape
    (3, 7)
    """

    encoder_: Network
    decoder_: Network
    history_: list[float]

    def __init__(
        self,
        n_codes: int = 8,
        n_hidden: int | Sequence[int] = 256,
        *,
        n_classes: int | None = 10,
        label: int = -1,
        objective: Literal["elbo", "symmetric"] = "elbo",
        codes: Literal["gaussian", "binary"] = "gaussian",
        epochs: int = 10,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        label_scale: float = 5.0,
        n_draws: int = 16,
        warm_start: bool = True,
        seed: Seed = 0,
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        super().__init__(n_classes, label, warm_start)
        for name, choice, allowed in (
            ("objective", objective, ("elbo", "symmetric")),
            ("codes", codes, ("gaussian", "binary")),
            ("dtype", dtype, ("float32", "float64")),
        ):
            if choice not in allowed:
                raise InvalidInput(f"{name} is {choice!r}; it must be one of {', '.join(map(repr, allowed))}")
        if objective == "elbo" and codes == "binary":
            raise InvalidInput(
                "binary codes have no derivative with respect to the noise; choose objective='symmetric'"
            )
        for name, number in (("learning_rate", learning_rate), ("label_scale", label_scale)):
            if not 0 < number < np.inf:
                raise InvalidInput(f"{name} is {number!r}; it must be a positive number")
        hidden = [n_hidden] if isinstance(n_hidden, (int, np.integer)) else list(n_hidden)
        self.n_codes = checked_count("n_codes", n_codes)
        self.n_hidden = [checked_count("n_hidden", width) for width in hidden]
        self.objective = objective
        self.codes = codes
        self.epochs = checked_count("epochs", epochs)
        self.batch_size = checked_count("batch_size", batch_size)
        self.learning_rate = float(learning_rate)
        self.label_scale = float(label_scale)
        self.n_draws = checked_count("n_draws", n_draws)
        self.seed = seed
        self.dtype = dtype
        self._codes: Any = GaussianCodes(self.n_codes) if codes == "gaussian" else BinaryCodes(self.n_codes)

    # ------------------------------------------------------------------ fitting

    def fit(self, samples: Sequence[Any], weights: Sequence[float] | None = None) -> Self:
        """Train on weighted samples for ``epochs`` passes.

        Parameters
        ----------
        samples : sequence of SampleSet or array_like
            Tables of the same variables, features 0 or 1, the label among them if there is one.
        weights : sequence of float, optional
            Total weight of each set, ≥ 0; only proportions count. Default: equal.

        Returns
        -------
        self

        Raises
        ------
        InvalidInput
            If the sets and weights do not fit together or nothing is left to fit.
        InvalidData
            If a feature is not binary, a label is outside its range, or the number of variables differs from the last
            fit.
        """
        return self._run(samples, weights, self.epochs, fresh=not self.warm_start, falling=True)

    def partial_fit(self, samples: Sequence[Any], weights: Sequence[float] | None = None) -> Self:
        """One pass at the full learning rate from the present parameters; parameters and errors as in :meth:`fit`."""
        return self._run(samples, weights, 1, fresh=False, falling=False)

    def _run(
        self, samples: Sequence[Any], weights: Sequence[float] | None, epochs: int, fresh: bool, falling: bool
    ) -> Self:
        rows = self._rows(pool(samples, set_weights(samples, weights)))
        rows = rows.take(rows.weights > 0)
        fresh = fresh or not self._is_allocated()
        if fresh:
            self._reset(rows)
        self._check_features(rows.x.shape[1])
        known = rows.classes >= 0
        labelled = self._mass(rows, known)
        new = (labelled > 0) & ~self.seen_
        self.seen_ = self.seen_ | new
        self.history_ = []
        if not self.seen_.any():
            return self
        self._admit(labelled)
        if new.any() and not known.all():
            self._train(rows.take(known), epochs, falling, n_draws=len(rows.x))
        self.history_ = self._train(rows, epochs, falling)
        return self

    def _reset(self, rows: Rows) -> None:
        """New networks."""
        self.n_features_ = rows.x.shape[1]
        n_classes, dtype = self.n_classes or 1, np.dtype(self.dtype)
        self._rng = np.random.default_rng(self.seed)
        inner = [self.n_features_, *self.n_hidden]
        self.encoder_ = Network([*inner, self._codes.n_outputs], n_classes, self.label_scale, self._rng, dtype)
        self.decoder_ = Network([self.n_codes, *inner[::-1]], n_classes, self.label_scale, self._rng, dtype)
        self._encoder_steps, self._decoder_steps = Adam(), Adam()
        if self.n_hidden:
            self._start_at_means(rows)
        self.class_prob_ = np.zeros(n_classes)
        self.seen_ = np.zeros(n_classes, dtype=bool)

    def _start_at_means(self, rows: Rows) -> None:
        """The decoder starts with the right mean of every pixel, the encoder with codes that tell images apart.

        Symmetric learning needs the second: its equilibria are many, and the one in which codes and images are
        independent is reached from encoders that start near it (T12). So the first layer starts with the mean image
        subtracted.
        """
        seen = rows.weights.sum() if rows.mask is None else rows.weights @ rows.mask
        mean = np.divide(rows.weights @ rows.x, seen, out=np.full(self.n_features_, 0.5), where=seen > 0)
        table, first = self.encoder_.parameters[:2]
        first *= START_GAIN
        table -= ((2 * mean - 1) @ first / self.label_scale).astype(table.dtype)
        self._codes.spread(*self.encoder_.parameters[-2:])
        mean = np.clip(mean, PIXEL_BOUND, 1 - PIXEL_BOUND)
        self.decoder_.parameters[-1][:] = np.log(mean / (1 - mean))

    def _mass(self, rows: Rows, known: BoolArray) -> FloatArray:
        """The weight of each class among the labelled rows."""
        return np.asarray(np.bincount(rows.classes[known], rows.weights[known], self.seen_.size), dtype=np.float64)

    def _train(self, rows: Rows, epochs: int, falling: bool, n_draws: int | None = None) -> list[float]:
        """Epochs of stochastic gradients, each of as many rows as there are or as asked; returns their mean bounds."""
        n_draws = len(rows.x) if n_draws is None else n_draws
        n_batches = -(-n_draws // self.batch_size)
        history = []
        for epoch in range(epochs):
            rows_now = self._labelled(rows)
            order = systematic(rows.weights, n_draws, self._rng)
            total = 0.0
            for number, index in enumerate(np.array_split(order, n_batches)):
                done = (epoch * n_batches + number) / (epochs * n_batches)
                rate = self.learning_rate * (1 - done if falling else 1)
                total += float(self._step(rows_now.take(index, self.dtype), rate).sum())
            history.append(total / len(order))
        return history

    def _labelled(self, rows: Rows) -> Rows:
        """The rows with labels drawn from their posterior where open; updates p(c) (its M-step is in closed form)."""
        open_ = np.flatnonzero(rows.classes < 0)
        known = rows.classes >= 0
        mass, classes = self._mass(rows, known), rows.classes
        if open_.size:
            log_posterior = self._log_posterior(rows.take(open_), 1, self._rng)
            classes = classes.copy()
            classes[open_] = draw_index(log_posterior, self._rng)
            mass = mass + rows.weights[open_] @ np.exp(log_posterior)
        self.class_prob_ = mass / mass.sum()
        return replace(rows, classes=classes)

    def _step(self, batch: Rows, rate: float) -> FloatArray:
        """One step of both networks; returns the evidence lower bound of every row."""
        noise = self._codes.noise((len(batch.x),), self._rng, self.dtype)
        if self.objective == "elbo":
            elbo, of_encoder, of_decoder = elbo_gradients(self.encoder_, self.decoder_, self._codes, batch, noise)
        else:
            elbo, of_encoder, of_decoder = self._symmetric_gradients(batch, noise)
        self._encoder_steps.step(self.encoder_.parameters, of_encoder, rate)
        self._decoder_steps.step(self.decoder_.parameters, of_decoder, rate)
        return elbo

    def _symmetric_gradients(self, batch: Rows, noise: AnyArray) -> tuple[FloatArray, list[AnyArray], list[AnyArray]]:
        """Each network completes what the other one trains on; the classes are those of the batch, of law p(c)."""
        outputs = self.encoder_.output(batch.signs(), batch.classes)
        completed = self._codes.draw(outputs, noise)
        log_prob, of_decoder = decoder_gradients(self.decoder_, batch, completed)
        z = self._codes.prior(self._codes.noise((len(batch.x),), self._rng, self.dtype))
        drawn = self._draw_features(z, batch.classes, self._rng).astype(self.dtype)
        imagined = replace(batch, x=drawn if batch.mask is None else drawn * batch.mask)
        _, of_encoder = encoder_gradients(self.encoder_, self._codes, imagined, z)
        elbo = log_prob + self._codes.log_prior(completed) - self._codes.log_prob(outputs, completed)
        return elbo, of_encoder, of_decoder

    # ------------------------------------------------------------------ questions to a fitted model

    def log_prob(
        self, values: ArrayLike, observed: ArrayLike | None = None, *, n_draws: int | None = None, seed: Seed = 0
    ) -> FloatArray:
        """Estimated log-probability of the observed variables, the others summed out.

        A lower bound in expectation over the seed, tighter the larger ``n_draws`` (class notes).

        Parameters
        ----------
        values : array_like, shape (n, V)
        observed : array_like of bool, shape (V,) or (n, V), optional
            Default: all are observed.
        n_draws : int, optional
        seed : int, SeedSequence or Generator

        Returns
        -------
        ndarray, shape (n,)
            In nats; −∞ for a label of a class that has not been seen.
        """
        return self.log_prob_with_error(values, observed, n_draws=n_draws, seed=seed)[0]

    def log_prob_with_error(
        self, values: ArrayLike, observed: ArrayLike | None = None, *, n_draws: int | None = None, seed: Seed = 0
    ) -> tuple[FloatArray, FloatArray]:
        """:meth:`log_prob` and its Monte-Carlo standard error of each row, in nats.

        The error is that of log-mean-exp to first order: (standard deviation of the weights) / (mean · √K). It is NaN
        for ``n_draws = 1``, and says little where it is not small against 1.
        """
        rows = self._question(SampleSet(as_array(values), None if observed is None else as_array(observed)))
        result, error = np.empty(len(rows.x)), np.empty(len(rows.x))
        for block, log_weights, _ in self._importance(rows, n_draws, np.random.default_rng(seed)):
            per_draw = log_sum_exp(np.moveaxis(log_weights, 1, 2))
            k = per_draw.shape[1]
            result[block] = log_sum_exp(per_draw) - np.log(k)
            with np.errstate(invalid="ignore"):
                relative = np.exp(per_draw - result[block, None])
            error[block] = np.std(relative, axis=1, ddof=1) / np.sqrt(k) if k > 1 else np.nan
        return result, error

    def predict_proba(
        self, values: ArrayLike, observed: ArrayLike | None = None, *, n_draws: int | None = None, seed: Seed = 0
    ) -> FloatArray:
        """p(c | observed features) by Bayes' rule with importance-sampled p(x | c), shape (n, C).

        What the label column says is ignored. Parameters are those of :meth:`log_prob`.
        """
        rows = self._question(self._labels.hidden(values, observed))
        return np.exp(self._log_posterior(rows, n_draws, np.random.default_rng(seed)))

    def complete(self, values: ArrayLike, observed: ArrayLike, seed: Seed = 0, *, n_sweeps: int = 5) -> AnyArray:
        """Draw what is not observed given what is, approximately.

        Class and code are drawn from the ``n_draws`` importance-weighted candidates of each class, and the missing
        features given them. Then ``n_sweeps`` times a new code is proposed by the encoder, which now sees a complete
        row, accepted by Metropolis' rule, and the missing features are drawn anew (Mattei, Frellsen 2018). Exact in the
        limit of many draws, and for the features given the class also of many sweeps.

        Parameters
        ----------
        values : array_like, shape (n, V)
        observed : array_like of bool, shape (V,) or (n, V)
        seed : int, SeedSequence or Generator
        n_sweeps : int

        Returns
        -------
        ndarray, shape (n, V)
            The observed values as they were.
        """
        samples = SampleSet(as_array(values), as_array(observed))
        rows = self._question(samples)
        rng = np.random.default_rng(seed)
        classes = np.empty(samples.n, dtype=np.int64)
        features = rows.x.copy()
        for block, log_weights, codes in self._importance(rows, None, rng):
            n, _, k = log_weights.shape
            flat = log_weights.reshape(n, -1)
            if not np.isfinite(flat.max(axis=1)).all():
                raise InvalidData("some row has a label that this model has not seen")
            choice = draw_index(flat, rng)
            classes[block] = choice // k
            if rows.mask is not None:
                part = replace(rows.take(block, self.dtype), classes=classes[block])
                z = codes[np.arange(n), choice // k, choice % k]
                features[block] = self._redraw(part, z, checked_count("n_sweeps", n_sweeps, least=0), rng)
        kept, _ = self._labels.split(samples)
        kind = np.result_type(features, kept.values)
        return self._labels.join(np.where(kept.mask(), kept.values, features).astype(kind), classes)

    def _redraw(self, rows: Rows, z: AnyArray, n_sweeps: int, rng: np.random.Generator) -> AnyArray:
        """Missing features given codes, then sweeps of Metropolis-within-Gibbs over codes and missing features."""
        known = rows.mask == 1

        def fill(z: AnyArray) -> Rows:
            drawn = self._draw_features(z, rows.classes, rng)
            return replace(rows, x=np.where(known, rows.x, drawn).astype(self.dtype), mask=None)

        def log_ratio(full: Rows, outputs: AnyArray, z: AnyArray) -> AnyArray:
            log_prob = bernoulli_log_prob(self.decoder_.output(z, full.classes), full.x, None)
            return np.asarray(log_prob + self._codes.log_prior(z) - self._codes.log_prob(outputs, z))

        full = fill(z)
        for _ in range(n_sweeps):
            outputs = self.encoder_.output(full.signs(), full.classes)
            proposal = self._codes.draw(outputs, self._codes.noise((len(z),), rng, self.dtype))
            gain = log_ratio(full, outputs, proposal) - log_ratio(full, outputs, z)
            z = np.where((np.log(rng.random(len(z))) < gain)[:, None], proposal, z)
            full = fill(z)
        return full.x.astype(np.uint8)

    # ------------------------------------------------------------------ sampling

    def _draw_rows(self, classes: IntArray, rng: np.random.Generator) -> AnyArray:
        features = np.empty((classes.size, self.n_features_), dtype=np.uint8)
        for start in range(0, classes.size, BLOCK):
            block = slice(start, start + BLOCK)
            z = self._codes.prior(self._codes.noise((len(classes[block]),), rng, self.dtype))
            features[block] = self._draw_features(z, classes[block], rng)
        return features

    def _draw_features(self, z: AnyArray, classes: IntArray, rng: np.random.Generator) -> BoolArray:
        probability = sigmoid(self.decoder_.output(z, classes))
        drawn: BoolArray = rng.random(probability.shape, dtype=probability.dtype) < probability
        return drawn

    # ------------------------------------------------------------------ importance sampling

    def _question(self, samples: SampleSet) -> Rows:
        """Samples to be asked about, checked."""
        self._check_defined()
        rows = self._rows(SampleSet(samples.values, samples.observed))
        self._check_features(rows.x.shape[1])
        return rows

    def _rows(self, samples: SampleSet) -> Rows:
        features, classes = self._labels.split(samples)
        values = features.filled()
        check_binary(values, self.n_classes)
        mask = features.mask()
        full = None if mask.all() else np.broadcast_to(mask, values.shape)
        return Rows(values.astype(np.uint8), full, classes, features.normalized_weights())

    def _log_posterior(self, rows: Rows, n_draws: int | None, rng: np.random.Generator) -> FloatArray:
        """log p(c | x) of each row, shape (n, C)."""
        result = np.empty((len(rows.x), self.seen_.size))
        for block, log_weights, _ in self._importance(rows, n_draws, rng):
            log_class = log_sum_exp(log_weights)
            result[block] = log_class - log_sum_exp(log_class)[:, None]
        return result

    def _importance(
        self, rows: Rows, n_draws: int | None, rng: np.random.Generator
    ) -> Iterator[tuple[slice, FloatArray, AnyArray]]:
        """Blocks of rows; for each class and draw log p(c, x, z_k) / r(z_k), shape (n, C, K), and z_k, (n, C, K, d).

        Classes that the label excludes, and those of probability zero, have weight zero.
        """
        k = self.n_draws if n_draws is None else checked_count("n_draws", n_draws)
        step = max(1, BLOCK // k)
        for start in range(0, len(rows.x), step):
            block = slice(start, min(start + step, len(rows.x)))
            part = rows.take(block, self.dtype)
            n = len(part.x)
            noise = self._codes.noise((n, k), rng, self.dtype)
            first = self.encoder_.first(part.signs())
            log_weights = np.full((n, self.seen_.size, k), -np.inf)
            codes = np.zeros((n, self.seen_.size, k, self.n_codes), dtype=self.dtype)
            for c in np.flatnonzero(self.class_prob_):
                mine = np.flatnonzero((part.classes == c) | (part.classes == -1))
                if not mine.size:
                    continue
                log_ratio, codes[mine, c] = self._weigh(part.take(mine), int(c), first[mine], noise[mine])
                log_weights[mine, c] = log_ratio + np.log(self.class_prob_[c])
            yield block, log_weights, codes

    def _weigh(self, rows: Rows, c: int, first: AnyArray, noise: AnyArray) -> tuple[AnyArray, AnyArray]:
        """log p(x, z_k | c) / r(z_k), shape (n, K), and z_k, shape (n, K, d), of rows taken to be of class c."""
        n, k, d = noise.shape
        outputs = self.encoder_.output(rows.x, np.full(n, c), first)[:, None]
        z = self._codes.draw(outputs, noise)
        from_encoder = k - k // (DEFENCE if rows.mask is None else DEFENCE_INCOMPLETE)
        z[:, from_encoder:] = self._codes.prior(noise[:, from_encoder:])
        log_prior, log_proposal = self._codes.log_prior(z), self._codes.log_prob(outputs, z)
        if from_encoder < k:  # the density of the proposals, some of which came from the prior
            share = from_encoder / k
            log_proposal = np.logaddexp(log_proposal + np.log(share), log_prior + np.log1p(-share))
        logits = self.decoder_.output(z.reshape(-1, d), np.full(n * k, c)).reshape(n, k, -1)
        mask = None if rows.mask is None else rows.mask[:, None]
        log_prob = bernoulli_log_prob(logits, rows.x[:, None], mask)
        return np.asarray(log_prob + log_prior - log_proposal, dtype=np.float64), z
