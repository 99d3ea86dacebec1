"""Independent oracles for mixtures of Bernoullis on tiny spaces: plain loops over fractions."""

import itertools
from fractions import Fraction

import numpy as np


def every_row(n_features, n_classes):
    """All rows (features, label) of the space."""
    rows = [(*x, c) for x in itertools.product((0, 1), repeat=n_features) for c in range(n_classes)]
    return np.array(rows, dtype=np.uint8)


def parameters(model):
    """p(c, k) and P(feature = 1 | c, k) of a model as exact fractions of its floats."""
    joint = [
        [Fraction(float(p)) * Fraction(float(q)) for q in row]
        for p, row in zip(model.class_prob_, model.component_prob_, strict=True)
    ]
    mean = [[[Fraction(float(m)) for m in component] for component in row] for row in model.mean_]
    return joint, mean


def joint_probability(joint, mean, row, known):
    """p(c, k, observed part of the row) as a dictionary; features first, label last."""
    *features, label = row
    *shown, label_known = known
    result = {}
    for c, k in itertools.product(range(len(joint)), range(len(joint[0]))):
        p = joint[c][k] if not label_known or label == c else Fraction(0)
        for x, m, seen in zip(features, mean[c][k], shown, strict=True):
            if seen:
                p *= m if x else 1 - m
        result[c, k] = p
    return result


def em_step(joint, mean, rows, known, weights, margin):
    """One step of EM with the hidden component, class and label; exact, also the clipping.

    Returns p(c, k), the means, and the weighted mean of the probability's logarithm before the step (a float).
    """
    mass = {(c, k): Fraction(0) for c in range(len(joint)) for k in range(len(joint[0]))}
    ones = {key: [Fraction(0)] * len(mean[0][0]) for key in mass}
    seen = {key: [Fraction(0)] * len(mean[0][0]) for key in mass}
    total, log_likelihood = sum(weights), 0.0
    for row, shown, weight in zip(rows, known, weights, strict=True):
        p = joint_probability(joint, mean, row, shown)
        evidence = sum(p.values())
        log_likelihood += float(weight / total) * float(np.log(float(evidence)))
        for key, value in p.items():
            share = weight * value / evidence
            mass[key] += share
            for d in range(len(row) - 1):
                if shown[d]:
                    seen[key][d] += share
                    ones[key][d] += share * int(row[d])
    low, high = Fraction(margin), 1 - Fraction(margin)
    new_mean = [
        [
            [
                min(max(ones[c, k][d] / seen[c, k][d], low), high) if seen[c, k][d] else mean[c][k][d]
                for d in range(len(mean[0][0]))
            ]
            for k in range(len(joint[0]))
        ]
        for c in range(len(joint))
    ]
    new_joint = [[mass[c, k] / total for k in range(len(joint[0]))] for c in range(len(joint))]
    return new_joint, new_mean, log_likelihood
