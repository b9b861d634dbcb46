"""What bootstrapped programs compute, in integers, what it costs and how it fails.

The same semantics as docs/spec/programs.md: an accumulator is an integer modulo
2^p; Requantise removes its low bits; a table is negacyclic over Z/32.
"""

import math

import numpy as np

# A modulus switch to 4096 leaves, with the keyswitch before it, this standard
# deviation in units of 1/4096 turn: half a box of a 4-bit table (64) is 10.4 of
# them, 13.5 with mean compensation.
PLAIN = 64 / 10.4
COMPENSATED = 64 / 13.5
# log2 standard deviation of a bootstrap's output, in words, by gadget.
GADGETS = {"2^23 l=1": 49.1, "2^15 l=2": 41.9, "2^11 l=3": 38.6}
FRESH = 2.2  # log2 standard deviation of one encrypted value
SECONDS = 0.025


def strips(p, target=5):
    """Widths of the digits that Requantise removes: fives first."""
    out = []
    while p - sum(out) > target:
        out.append(min(5, p - sum(out) - target))
    return out


def requantise_cost(p, target=5):
    """A digit of one bit is one bootstrap, a wider one two (docs/spec/programs.md)."""
    return sum(1 if d == 1 else 2 for d in strips(p, target))


def decision_cost(p):
    """Sign of an accumulator of p bits: strip to 5, then one table."""
    return requantise_cost(p) + 1


def requantise(x, p, target=5):
    """(x mod 2^p) >> (p - target), modulo 2^target."""
    p = max(p, target)
    return (np.mod(x, 1 << p)) >> (p - target)


def lut(table, m):
    """Negacyclic: f(m) below 16, -f(m - 16) above."""
    m = np.mod(m, 32)
    t = np.asarray(table, dtype=np.int64)
    return np.where(m < 16, t[np.minimum(m, 15)], -t[np.maximum(m - 16, 0)])


def sign(x, p):
    """1 where x >= 0, -1 where below, x read modulo 2^p as a signed integer."""
    return lut([1] * 16, requantise(x, p))


def fits(lo, hi):
    """Least p with [lo, hi] inside [-2^(p-1), 2^(p-1))."""
    p = 5
    while lo < -(1 << (p - 1)) or hi >= (1 << (p - 1)):
        p += 1
    return p


def log2_failure(p, gadget="2^11 l=3", spread=COMPENSATED):
    """log2 of the chance that the most delicate read-out of a Requantise of an
    accumulator of p bits errs: the second bootstrap of the first digit sees the
    output noise of the first, 2^(p-d) times as large."""
    d = strips(p)[0] if p > 5 else 5
    half_box = 2.0 ** (11 - d)
    extra = 2.0 ** (GADGETS[gadget] + (p - d) - 52) if d > 1 else 0.0
    z = half_box / math.hypot(spread, extra)
    # log2 erfc(z / sqrt 2), by its asymptote where it underflows.
    return -(z * z / 2) / math.log(2) + math.log2(2 / (z * math.sqrt(2 * math.pi)))


def published(col):
    """Undeclared bounds: zero or the power of two next outside (docs/spec/datasets.md)."""
    up = lambda v: 2.0 ** math.ceil(math.log2(v)) if v > 0 else 0.0
    return -up(-col.min()), up(col.max())


class Wide:
    """A column as round(x 2^s), |X| <= 2^bits over its published range."""

    def __init__(self, col, bits):
        lo, hi = published(col)
        self.s = bits - math.ceil(math.log2(max(-lo, hi)))
        self.lo, self.hi = math.floor(lo * 2.0**self.s), math.ceil(hi * 2.0**self.s)

    def codes(self, col):
        return np.floor(np.abs(col) * 2.0**self.s + 0.5).astype(np.int64) * np.sign(col).astype(np.int64)

    def threshold(self, t):
        """T with x <= t read as X <= T: the side on which most of t's cell lies."""
        return math.floor(t * 2.0**self.s)


class Bins:
    """A column as the index of a quantile bin, edges published."""

    def __init__(self, col, bits):
        q = np.quantile(col, np.arange(1, 1 << bits) / (1 << bits), method="lower")
        self.edges = np.unique(q)
        self.lo, self.hi = 0, len(self.edges)

    def codes(self, col):
        # Bin j holds edges[j-1] < x <= edges[j].
        return np.searchsorted(self.edges, col, side="left").astype(np.int64)

    def threshold(self, t):
        """The bin boundary nearest to t, as a code: x <= t read as X <= T."""
        return int(np.argmin(np.abs(self.edges - t)))


def encode(kind, bits, x):
    return [(Wide if kind == "wide" else Bins)(x[:, f], bits) for f in range(x.shape[1])]


def codes(encoders, x):
    return np.stack([e.codes(x[:, f]) for f, e in enumerate(encoders)], axis=1)
