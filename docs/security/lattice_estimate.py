#!/usr/bin/env python3
"""A crude lattice estimate for the data key, the re-randomisation and the bootstrap.

This is NOT the lattice estimator of Albrecht et al. (its output is in
lattice-estimator-output.txt). It is the documented primal uSVP
estimate, written out so that anyone can check it:

* Primal attack by Kannan embedding of Bai and Galbraith: lattice dimension
  d = m + n + 1, volume q^m nu^n, secret coordinates scaled by
  nu = sigma_e / sigma_s so that the short vector is balanced.
* Success condition of ADPS16 (ePrint 2015/1092), 2016 estimate:
  sqrt(beta) sigma_e <= delta^(2 beta - d - 1) vol^(1/d).
* BKZ-beta by the geometric series assumption,
  delta = (beta / (2 pi e) (pi beta)^(1/beta))^(1 / (2 (beta - 1))).
* Cost: core-SVP, one SVP call, 2^(0.292 beta) classical sieving
  (BDGL16) and 2^(0.265 beta) quantum (Laarhoven). No polynomial factor, no
  number of calls: low, i.e. conservative, on that side.
* Number of samples m and block size beta minimised over; also guessing g
  secret coordinates exactly (each halves the success probability of a binary
  secret), minimised over g: the crude form of the hybrid attack.

What it leaves out: dual and hybrid-dual attacks with their current
improvements, meet-in-the-middle on the guessed part, and any use of the ring
structure (none is known that helps at these parameters). Margins of tens of
bits are therefore wanted, and are there.

Secrets: binary (centred: standard deviation 1/2). r = 2c - 1 is binary up to
an affine map, r p_0 = c (2 p_0) - p_0 with 2 p_0 uniform, so it counts the same.
Errors: TUniform(b), variance (2^(2b+1) + 1)/6, b = 3, 45, 17; centred binomial of width 1,
variance 1/2.

Run: python3 lattice_estimate.py > lattice-crude.txt
"""
from math import e, log2, pi, sqrt

Q = 2**64 - 2**32 + 1


def log2_delta(beta):
    return log2(beta / (2 * pi * e) * (pi * beta) ** (1 / beta)) / (2 * (beta - 1))


def usvp_beta(n, m, sigma_s, sigma_e):
    """Least block size that recovers the secret from m samples."""
    d = m + n + 1
    log_vol = m * log2(Q) + n * log2(sigma_e / sigma_s)

    def works(beta):
        left = 0.5 * log2(beta) + log2(sigma_e)
        return left <= (2 * beta - d - 1) * log2_delta(beta) + log_vol / d

    low, high = 50, d
    if not works(high):
        return None
    while low < high:
        mid = (low + high) // 2
        low, high = (low, mid) if works(mid) else (mid + 1, high)
    return low


def estimate(n, most, sigma_s, sigma_e):
    """(classical bits, quantum bits, beta, m, guessed) of the best attack."""
    best = {}
    for g in list(range(0, 400, 20)):
        for m in range(n // 4, most + 1, 64):
            beta = usvp_beta(n - g, m, sigma_s, sigma_e)
            if beta is None:
                continue
            for name, exponent in (("classical", 0.292), ("quantum", 0.265)):
                bits = exponent * beta + g
                if name not in best or bits < best[name][0]:
                    best[name] = (bits, beta, m, g)
    return best


CASES = [
    ("data key", 4096, 2 * 4096, 0.5, sqrt((2**7 + 1) / 6)),
    ("re-randomisation, traced", 4096, 4096 + 1, 0.5, sqrt(0.5)),
    ("re-randomisation, chunk", 4096, 2 * 4096, 0.5, sqrt(0.5)),
    # Samples: keyswitch rows from S_B; two ring elements (more do not help).
    ("bootstrap, LWE key", 920, 6 * 2048, 0.5, sqrt((2**91 + 1) / 6)),
    ("bootstrap, ring key", 2048, 2 * 2048, 0.5, sqrt((2**35 + 1) / 6)),
]

print("# Crude primal uSVP estimate (core-SVP); see lattice_estimate.py for its assumptions.")
print("# name | n | log2 q | sigma_s | sigma_e | samples used | beta | guessed | classical bits | quantum bits")
for name, n, most, sigma_s, sigma_e in CASES:
    best = estimate(n, most, sigma_s, sigma_e)
    bits, beta, m, g = best["classical"]
    print(
        f"{name} | {n} | 64 | {sigma_s:.3f} | {sigma_e:.3f} | {m} | {beta} | {g} | "
        f"{bits:.1f} | {best['quantum'][0]:.1f}"
    )
