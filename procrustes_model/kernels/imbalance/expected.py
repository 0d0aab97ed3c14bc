"""The expected work of the slowest of many processing elements, without a mask.

All elements of one array-level tile together have a number of nonzeros that varies, and it is this that
makes a binomial count in each of them right, whatever the size of the tensor: the spread of a
hypergeometric count is smaller by exactly what its negative correlation with the others takes away.
"""

from __future__ import annotations

import math

import numpy as np

from procrustes_model.kernels.arithmetic import log_factorial, power
from procrustes_model.kernels.dense.arrays import Floats
from procrustes_model.kernels.jit import kernel

_EXACT_PARTS = 16
"""Up to this many processing elements, halves are counted by the exact multinomial."""

_NEVER = 1e-5
"""Probabilities below this one, and above one less this, end a sum."""


@kernel
def binomial(trials: int, density: float) -> Floats:
    """Return the probabilities of 0 to `trials` successes, from the most likely one outwards."""
    p = np.zeros(trials + 1)
    if density <= 0 or density >= 1:
        p[trials if density >= 1 else 0] = 1.0
        return p
    mode = min(trials, int((trials + 1) * density))
    odds = density / (1 - density)
    ways = log_factorial(float(trials)) - log_factorial(float(mode)) - log_factorial(float(trials - mode))
    p[mode] = math.exp(ways + mode * math.log(density) + (trials - mode) * math.log1p(-density))
    for k in range(mode, trials):
        p[k + 1] = p[k] * odds * (trials - k) / (k + 1)
    for k in range(mode, 0, -1):
        p[k - 1] = p[k] * k / (odds * (trials - k + 1))
    return p


@kernel
def expected_largest(elements: int, density: float, parts: int) -> float:
    """Return the expected largest of `parts` binomial counts out of `elements`."""
    p = binomial(elements, density)
    below = mean = 0.0
    for k in range(elements):
        below += p[k]
        if below >= 1.0:
            break
        mean += 1 - power(below, float(parts))
    return mean


@kernel
def _poisson(mean: float, spread: float, margin: int, out: Floats) -> tuple[int, int]:
    """Fill `out` with probabilities of a Poisson count, and return the first and last that matter."""
    if mean <= 0:
        out[0] = 1.0
        return 0, 0
    width = spread * math.sqrt(mean)
    last = min(len(out) - 1, int(mean + width) + margin)
    first = max(0, int(mean - width) - margin)
    mode = int(mean)
    out[mode] = math.exp(mode * math.log(mean) - mean - log_factorial(float(mode)))
    for k in range(mode, last):
        out[k + 1] = out[k] * mean / (k + 1)
    for k in range(mode, first, -1):
        out[k - 1] = out[k] * k / mean
    return first, last


@kernel
def _credit(state: Floats, lo: int, hi: int, cap: int, p: Floats, first: int, last: int, out: Floats) -> None:
    """Add a count to a distribution over `lo` to `hi`."""
    for credit in range(lo + first, min(cap, hi + last) + 1):
        out[credit] = 0.0
    for credit in range(lo, hi + 1):
        weight = state[credit]
        for k in range(first, min(last, cap - credit) + 1):
            out[credit + k] += weight * p[k]


@kernel
def _debit(state: Floats, lo: int, hi: int, p: Floats, first: int, last: int, out: Floats) -> float:
    """Take a count off a distribution over `lo` to `hi`; return the mass that stays at 0 and above."""
    left = 0.0
    for credit in range(max(0, lo - last), hi - first + 1):
        mass = 0.0
        for k in range(max(first, lo - credit), min(last, hi - credit) + 1):
            mass += state[credit + k] * p[k]
        out[credit] = mass
        left += mass
    return left


@kernel
def _pairs_fit_poisson(
    limit: int, half: int, p: Floats, halves: int, counts: Floats, state: Floats, spare: Floats
) -> float:
    """Return the probability that no pair exceeds `limit`, for many halves.

    The largest is paired with the smallest. All pairs fit if and only if, for every value above limit / 2,
    as many halves or more are small enough to go with the halves of that value and above. That is a walk
    from the largest value inwards, credited with small halves and debited with large ones, that never falls
    below 0. The numbers of halves of each value are taken as independent Poisson counts.
    """
    if limit >= 2 * half:
        return 1.0
    top = min(half, limit)
    too_large = 0.0
    for value in range(limit + 1, half + 1):
        too_large += p[value]
    none_too_large = math.exp(-too_large * halves)
    if none_too_large < _NEVER / 100:
        return 0.0
    small = 0.0
    for value in range(max(0, limit - half)):
        small += p[value]
    cap = len(state) - 1
    lo, hi = _poisson(small * halves, 5.5, 6, counts)
    hi = min(hi, cap)
    for credit in range(lo, hi + 1):
        state[credit] = counts[credit]
    for value in range(top, limit // 2, -1):
        few, many = halves * p[limit - value], halves * p[value]
        if few > 1e-12:
            first, last = _poisson(few, 5.5, 6, counts)
            _credit(state, lo, hi, cap, counts, first, last, spare)
            state, spare = spare, state
            lo, hi = lo + first, min(cap, hi + last)
        if many > 1e-12:
            first, last = _poisson(many, 5.5, 6, counts)
            if hi - first < 0:
                return 0.0
            left = _debit(state, lo, hi, counts, first, last, spare)
            state, spare = spare, state
            lo, hi = max(0, lo - last), hi - first
            if left * none_too_large < _NEVER / 10:
                return 0.0
        while lo < hi and state[lo] < 1e-11:
            lo += 1
        while hi > lo and state[hi] < 1e-11:
            hi -= 1
    total = 0.0
    for credit in range(lo, hi + 1):
        total += state[credit]
    return min(1.0, total * none_too_large)


@kernel
def _count_more(state: Floats, p: Floats, last: int, sign: int, out: Floats) -> None:
    """Add a count to the joint distribution of (halves counted, credit); credit below 0 is lost."""
    out[:, :] = 0.0
    halves = state.shape[0] - 1
    for counted in range(halves + 1):
        for credit in range(counted + 1):
            weight = state[counted, credit]
            if weight < 1e-14:
                continue
            top = min(last, halves - counted)
            if sign < 0:
                top = min(top, credit)
            for k in range(top + 1):
                out[counted + k, credit + sign * k] += weight * p[k]


@kernel
def _pairs_fit_exact(
    limit: int, half: int, p: Floats, halves: int, counts: Floats, state: Floats, spare: Floats
) -> float:
    """Return the same as `_pairs_fit_poisson`, with the number of halves held fixed."""
    if limit >= 2 * half:
        return 1.0
    state[:, :] = 0.0
    told = 0.0
    for value in range(max(0, limit - half)):
        told += p[value]
    _, last = _poisson(told * halves, 6.0, 6, counts)
    for k in range(min(last, halves) + 1):
        state[k, k] = counts[k]
    for value in range(min(half, limit), limit // 2, -1):
        for sign in (1, -1):
            share = p[limit - value] if sign > 0 else p[value]
            told += share
            if share * halves < 1e-13:
                continue
            _, last = _poisson(share * halves, 6.0, 6, counts)
            _count_more(state, counts, last, sign, spare)
            state, spare = spare, state
    middle = p[limit // 2] if limit % 2 == 0 else 0.0
    told += middle
    _, last = _poisson(halves * middle, 6.0, 6, counts)
    fit = 0.0
    for counted in range(max(0, halves - last), halves + 1):
        for credit in range(counted + 1):
            fit += state[counted, credit] * counts[halves - counted]
    fit *= math.exp(-halves * max(0.0, 1 - told))
    return min(1.0, fit / math.exp(halves * math.log(halves) - halves - log_factorial(float(halves))))


@kernel
def expected_largest_pair(half: int, density: float, parts: int) -> float:
    """Return the expected largest of `parts` pairs of halves of `half` elements, largest with smallest."""
    if density <= 0 or density >= 1:
        return 2.0 * half * density
    p = binomial(half, density)
    halves = 2 * parts
    exact = parts <= _EXACT_PARTS
    counts = np.zeros(halves + 8 * int(math.sqrt(halves)) + 200)
    line, spare_line = np.zeros(len(counts) - 150), np.zeros(len(counts) - 150)
    side = halves + 1 if exact else 1
    square, spare_square = np.zeros((side, side)), np.zeros((side, side))
    mean = 0.0
    start = int(2 * half * density)
    for direction in (-1, 1):
        limit = start if direction < 0 else start + 1
        while 0 <= limit < 2 * half:
            if exact:
                fit = _pairs_fit_exact(limit, half, p, halves, counts, square, spare_square)
            else:
                fit = _pairs_fit_poisson(limit, half, p, halves, counts, line, spare_line)
            if (direction < 0 and fit < _NEVER) or (direction > 0 and fit > 1 - _NEVER):
                break
            mean += 1 - fit
            limit += direction
        if direction < 0:
            mean += limit + 1
    return mean
