"""Hypergeometric probabilities as the Boost library computes them, to the last digit or nearly.

Sparseloop rounds counts down that are a share of whole words. Where the exact share is whole, the last digits
of a probability decide. That library takes a probability of large populations (more than 104,723 elements)
from Lanczos' approximation of the gamma function, in numbers with 64 digits: powers of up to the size of the
population carry an error of about 1e-13. Here the same steps are done with the same roundings, after its
documentation of the distribution and of the approximation (n = 17, 64 digits), whose coefficients these are.
Smaller populations are factorised there, with an error below the last digit; here they are exact.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from procrustes_model.kernels.dense.arrays import Floats, Ints
from procrustes_model.kernels.jit import kernel
from procrustes_model.kernels.sparse.long_double import (
    add,
    divide,
    multiply,
    power_of,
    rounded,
    square_root,
)

FACTORISED = 104723
"""The largest population that is factorised."""
_NUMERATOR = (
    "2715894658327.717377557655133124376674911",
    "3590179526097.912105038525528721129550434",
    "2223966599737.814969312127353235818710172",
    "856940834518.9562481809925866825485883417",
    "229885871668.749072933597446453399395469",
    "45526171687.54610815813502794395753410032",
    "6884887713.165178784550917647709216424823",
    "811048596.1407531864760282453852372777439",
    "75213915.96540822314499613623119501704812",
    "5509245.417224265151697527957954952830126",
    "317673.5368435419126714931842182369574221",
    "14268.27989845035520147014373320337523596",
    "489.3618720403263670213909083601787814792",
    "12.38941330038454449295883217865458609584",
    "0.2183627389504614963941574507281683147897",
    "0.002393749522058449186690627996063983095463",
    "0.1229541408909435212800785616808830746135e-4",
)
"""Coefficients of the approximation, scaled by exp(-g)."""
_G = 12.2252227365970611572265625
_LEAST = 1e-280
"""What is less than this leads to no chance that matters."""
_MULTIPLIED = 8
"""The largest exponent that is multiplied out."""
_RANGE = 16380
"""Powers of two that the hardware's numbers reach."""
_FURTHEST = 1100
"""Powers of two below which a float is 0."""
_PRODUCTS = 16
_DEVIATIONS, _FURTHER = 9.0, 12
"""How far from the mean numbers of nonzeros matter: in standard deviations, and more."""
_MOST = 9
"""The largest whole power of e that is needed."""


def _two_floats(number: Fraction) -> tuple[float, float]:
    """Return a number rounded to 64 digits, in two floats."""
    size = number.numerator.bit_length() - number.denominator.bit_length()
    scale = Fraction(2) ** (64 - size)
    whole = round(number * scale)
    if whole.bit_length() > 64:
        scale /= 2 ** (whole.bit_length() - 64)
        whole = round(number * scale)
    exact = Fraction(whole) / scale
    high = float(exact)
    return high, float(exact - Fraction(high))


def _powers_of_e() -> np.ndarray:
    terms, term = Fraction(0), Fraction(1)
    for i in range(1, 60):
        terms += term
        term /= i
    return np.array([_two_floats(terms**power) for power in range(-_MOST, _MOST + 1)])


def _denominator() -> np.ndarray:
    """Return the coefficients of z (z + 1) ... (z + 15), from that of z^0."""
    coefficients = [1]
    for i in range(16):
        coefficients = [a + i * b for a, b in zip([0, *coefficients], [*coefficients, 0], strict=True)]
    return np.array([(float(one), 0.0) for one in coefficients])


def _primes(most: int) -> np.ndarray:
    """Return all primes up to a number."""
    sieve = np.ones(most + 1, np.bool_)
    sieve[:2] = False
    for i in range(2, math.isqrt(most) + 1):
        if sieve[i]:
            sieve[i * i :: i] = False
    return np.nonzero(sieve)[0].astype(np.int64)


def _factorials(most: int) -> np.ndarray:
    """Return 0! to a number's, each as two floats from 0.5 to 1, rounded to 64 digits, and a power of two."""
    table, product = [], 1
    for i in range(most + 1):
        product *= max(1, i)
        power = product.bit_length()
        shift = max(0, power - 64)
        whole = product >> shift
        rest, half = product - (whole << shift), (1 << shift) >> 1
        if half and (rest > half or (rest == half and whole % 2)):
            whole += 1
        high = float(whole)
        low = float(whole - int(high))
        table.append((math.ldexp(high, shift - power), math.ldexp(low, shift - power), float(power)))
    return np.array(table)


_ABOVE = np.array([_two_floats(Fraction(text)) for text in _NUMERATOR])
_BELOW = _denominator()
_E = _powers_of_e()
_PRIMES = _primes(FACTORISED)
_FACTORIALS = _factorials(1754)


@kernel
def _every_second(
    coefficients: Floats, low: Floats, first: int, step: int, z: float, z_low: float
) -> tuple[float, float]:
    """Return the value of a polynomial of every second coefficient, from `first` on, in powers of z."""
    total, total_low = coefficients[first], low[first]
    i = first + step
    while 0 <= i < len(coefficients):
        total, total_low = multiply(total, total_low, z, z_low)
        total, total_low = rounded(total, total_low)
        total, total_low = add(total, total_low, coefficients[i], low[i])
        total, total_low = rounded(total, total_low)
        i += step
    return total, total_low


@kernel
def _polynomial(coefficients: Floats, low: Floats, x: float) -> tuple[float, float]:
    """Return a polynomial of degree 16 / x^16, even and odd coefficients apart, in powers of 1 / x^2."""
    if x == 1.0:
        even, even_low = _every_second(coefficients, low, 16, -2, 1.0, 0.0)
        odd, odd_low = _every_second(coefficients, low, 15, -2, 1.0, 0.0)
    else:
        z, z_low = divide(1.0, 0.0, x, 0.0)
        z, z_low = rounded(z, z_low)
        square, square_low = multiply(x, 0.0, x, 0.0)
        square, square_low = rounded(square, square_low)
        square, square_low = divide(1.0, 0.0, square, square_low)
        square, square_low = rounded(square, square_low)
        even, even_low = _every_second(coefficients, low, 0, 2, square, square_low)
        odd, odd_low = _every_second(coefficients, low, 1, 2, square, square_low)
        odd, odd_low = multiply(odd, odd_low, z, z_low)
        odd, odd_low = rounded(odd, odd_low)
    even, even_low = add(even, even_low, odd, odd_low)
    return rounded(even, even_low)


@kernel
def _lanczos(above: Floats, below: Floats, x: float) -> tuple[float, float]:
    """Return Lanczos' sum for a whole number, scaled by exp(-g)."""
    a, a_low = _polynomial(above[:, 0], above[:, 1], x)
    b, b_low = _polynomial(below[:, 0], below[:, 1], x)
    a, a_low = divide(a, a_low, b, b_low)
    return rounded(a, a_low)


@kernel
def _sink(order: Ints, exponents: Floats, first: int) -> None:
    """Move the entry at `first` behind all whose exponents are no smaller."""
    i = first
    while i + 1 < len(order) and not exponents[order[i]] > exponents[order[i + 1]]:
        order[i], order[i + 1] = order[i + 1], order[i]
        i += 1


@kernel
def _sort(order: Ints, exponents: Floats) -> None:
    """Sort by exponents, largest first; equal ones keep their order."""
    for i in range(1, len(order)):
        j = i
        while j > 0 and exponents[order[j]] > exponents[order[j - 1]]:
            order[j], order[j - 1] = order[j - 1], order[j]
            j -= 1


@kernel
def _collect(base: Floats, exponents: Floats, of_e: Ints, order: Ints) -> None:
    """Turn a product of powers into one of the fewest large exponents: a^m b^n = a^(m - n) (a b)^n.

    `base` : float64[9, 2]. `exponents`: float64[9]. `of_e`: int64[9], powers of e that belong to bases.
    """
    _sort(order, exponents)
    while True:
        first, second = order[0], order[1]
        exponents[first] -= exponents[second]
        high, low = multiply(base[second, 0], base[second, 1], base[first, 0], base[first, 1])
        base[second, 0], base[second, 1] = rounded(high, low)
        of_e[second] += of_e[first]
        _sink(order, exponents, 0)
        if not exponents[order[1]] > 1:
            break
    j = len(order) - 1
    while exponents[order[j]] == 0:
        j -= 1
    while j > 0:
        while j > 0 and exponents[order[j - 1]] == exponents[order[j]]:
            one, other = order[j - 1], order[j]
            high, low = multiply(base[one, 0], base[one, 1], base[other, 0], base[other, 1])
            base[one, 0], base[one, 1] = rounded(high, low)
            exponents[other] = 0.0
            of_e[one] += of_e[other]
            _sink(order, exponents, j)
            j -= 1
        j -= 1


@kernel
def _large_chance(
    above: Floats, below: Floats, of_e: Floats, size: int, nonzeros: int, words: int, found: int
) -> float:
    """Return the same of a large population. `above`, `below`, `of_e`: of the approximation."""
    parts = np.empty(9)
    parts[:4] = (words, nonzeros, size - words, size - nonzeros)
    parts[4:] = (size, found, words - found, nonzeros - found, size - words - nonzeros + found)
    base, exponents = np.empty((9, 2)), parts + 0.5
    powers, order = np.ones(9, np.int64), np.arange(9)
    for i in range(9):
        high, low = parts[i] + _G + 0.5, 0.0
        if i < 4:
            powers[i] = -1
        else:
            high, low = divide(1.0, 0.0, high, low)
            high, low = rounded(high, low)
        base[i, 0], base[i, 1] = high, low
    _collect(base, exponents, powers, order)
    total, total_low, scale = 1.0, 0.0, 0
    for i in range(9):
        exponent = exponents[order[i]]
        if i > 0 and exponent <= 0:
            break
        of = powers[order[i]] + _MOST
        high, low = multiply(base[order[i], 0], base[order[i], 1], of_e[of, 0], of_e[of, 1])
        high, low = rounded(high, low)
        if high < _LEAST:
            return 0.0
        power = 0
        if i > 0 and exponent == 0.5:
            high, low = square_root(high, low)
        elif i == 0 or exponent != 1:
            high, low, power = power_of(high, low, exponent)
        total, total_low = multiply(total, total_low, high, low)
        total, total_low = rounded(total, total_low)
        scale += power
    over, over_low = 1.0, 0.0
    under, under_low = 1.0, 0.0
    for i in range(9):
        high, low = _lanczos(above, below, parts[i] + 1)
        if i < 4:
            over, over_low = multiply(over, over_low, high, low)
            over, over_low = rounded(over, over_low)
        else:
            under, under_low = multiply(under, under_low, high, low)
            under, under_low = rounded(under, under_low)
    over, over_low = divide(over, over_low, under, under_low)
    over, over_low = rounded(over, over_low)
    total, total_low = multiply(total, total_low, over, over_low)
    total, total_low = rounded(total, total_low)
    return math.ldexp(total + total_low, scale)


@kernel
def _whole_power(prime: int, exponent: int) -> tuple[float, float, int]:
    """Return a prime to a whole power, rounded at each step, as a number and a power of two."""
    times, base = abs(exponent), float(prime)
    high, low, scale = base, 0.0, 0
    if times > _MULTIPLIED:
        high, low, scale = power_of(base, 0.0, float(times))
    else:
        bits = 0
        while times >> (bits + 1):
            bits += 1
        for bit in range(bits - 1, -1, -1):
            other, other_low = high, low
            if times >> bit & 1:
                other, other_low = multiply(other, other_low, base, 0.0)
                other, other_low = rounded(other, other_low)
            high, low = multiply(other, other_low, high, low)
            high, low = rounded(high, low)
    if exponent < 0:
        high, low = divide(1.0, 0.0, high, low)
        high, low = rounded(high, low)
        scale = -scale
    return high, low, scale


@kernel
def _set(number: Floats, high: float, low: float, scale: float) -> None:
    """Set a number, float64[3]: two floats that are rounded to 64 digits, and a power of two."""
    high, low = rounded(high, low)
    _, power = math.frexp(high)
    number[0], number[1], number[2] = math.ldexp(high, -power), math.ldexp(low, -power), scale + power


@kernel
def _multiply_by(number: Floats, other: Floats) -> None:
    high, low = multiply(number[0], number[1], other[0], other[1])
    _set(number, high, low, number[2] + other[2])


@kernel
def _divide_by(number: Floats, other: Floats) -> None:
    high, low = divide(number[0], number[1], other[0], other[1])
    _set(number, high, low, number[2] - other[2])


@kernel
def _compare(number: Floats) -> int:
    """Return -1, 0 or 1 where a number is less than 1, 1, or more."""
    if number[2] < 1:
        return -1
    return 0 if number[2] == 1 and number[0] == 0.5 and number[1] == 0 else 1


@kernel
def _value(number: Floats) -> float:
    return math.ldexp(number[0] + number[1], int(number[2])) if number[2] > -_FURTHEST else 0.0


@kernel
def _multiply_products(products: Floats, last: int) -> float:
    """Return the product of several, from the last on, kept about 1. `products`: float64[P, 3]."""
    total = np.array([0.5, 0.0, 1.0])
    above = below = last
    while above >= 0 and _compare(products[above]) < 0:
        above -= 1
    while below >= 0 and _compare(products[below]) >= 0:
        below -= 1
    while above >= 0 or below >= 0:
        while above >= 0 and (_compare(total) <= 0 or below < 0):
            _multiply_by(total, products[above])
            above -= 1
            while above >= 0 and _compare(products[above]) < 0:
                above -= 1
        while below >= 0 and (_compare(total) >= 0 or above < 0):
            _multiply_by(total, products[below])
            below -= 1
            while below >= 0 and _compare(products[below]) >= 0:
                below -= 1
    return _value(total)


@kernel
def _factorised_chance(primes: Ints, size: int, nonzeros: int, words: int, found: int) -> float:
    """Return the same of a population of up to 104,723: the product of powers of `primes`."""
    parts = np.empty(9, np.int64)
    parts[:4] = (words, nonzeros, size - words, size - nonzeros)
    parts[4:] = (size, found, words - found, nonzeros - found, size - words - nonzeros + found)
    products, factor = np.empty((_PRODUCTS, 3)), np.empty(3)
    products[:, 0], products[:, 1], products[:, 2] = 0.5, 0.0, 1.0
    last = 0
    for prime in primes:
        if prime > size:
            break
        exponent, base = 0, prime
        while base <= size:
            for i in range(9):
                exponent += parts[i] // base if i < 4 else -(parts[i] // base)
            base *= prime
        if exponent:
            high, low, scale = _whole_power(prime, exponent)
            _set(factor, high, low, float(scale))
            # What would be beyond the range of that hardware's numbers begins another product.
            power = factor[2] + products[last, 2]
            if (power > _RANGE and exponent > 0) or (power < -_RANGE and exponent < 0):
                last = min(last + 1, _PRODUCTS - 1)
            _multiply_by(products[last], factor)
    return _multiply_products(products, last)


@kernel
def _small_chance(factorials: Floats, size: int, nonzeros: int, words: int, found: int) -> float:
    """Return the same of a population whose factorials are known: their product, kept about 1."""
    total = np.empty(3)
    total[:] = factorials[words]
    over = (nonzeros, size - words, size - nonzeros)
    under = (size, found, words - found, nonzeros - found, size - words - nonzeros + found)
    i = j = 0
    while i < 3 or j < 5:
        while j < 5 and (_compare(total) >= 0 or i >= 3):
            _divide_by(total, factorials[under[j]])
            j += 1
        while i < 3 and (_compare(total) <= 0 or j >= 5):
            _multiply_by(total, factorials[over[i]])
            i += 1
    return _value(total)


@kernel
def library_chance(size: int, nonzeros: int, words: int, found: int) -> float:
    """Return the probability that `words` elements have `found` nonzeros, as the Boost library computes it.

    Parameters
    ----------
    size : int
        Elements of the tensor.
    nonzeros : int
        Of the tensor.
    words, found : int
        Elements that are drawn, and nonzeros among them.
    """
    if found < 0 or found > min(words, nonzeros) or words - found > size - nonzeros:
        return 0.0
    if size < len(_FACTORIALS):
        return _small_chance(_FACTORIALS, size, nonzeros, words, found)
    if size <= FACTORISED:
        return _factorised_chance(_PRIMES, size, nonzeros, words, found)
    return _large_chance(_ABOVE, _BELOW, _E, size, nonzeros, words, found)


@kernel
def library_chances(size: int, nonzeros: int, words: int) -> tuple[int, Floats]:
    """Return the least nonzeros of a tile that matter, and how likely it has 0, 1, ... more.

    What is less likely than the last digit of a sum over all can tell does not matter.
    """
    low, high = max(0, words - (size - nonzeros)), min(words, nonzeros)
    mean = words * (nonzeros / size)
    deviation = math.sqrt(mean * (1 - nonzeros / size) * (size - words) / max(1, size - 1))
    reach = math.ceil(_DEVIATIONS * deviation) + _FURTHER
    first, last = max(low, math.floor(mean) - reach), min(high, math.ceil(mean) + reach)
    shares = np.empty(last - first + 1)
    for k in range(first, last + 1):
        shares[k - first] = library_chance(size, nonzeros, words, k)
    return first, shares
