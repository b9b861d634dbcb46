#!/usr/bin/env python3
"""Logistic scores of 569 rows x 30 columns: Concrete ML beside Veilbourse, in one run.

Installs concrete-ml 1.9 into a virtual environment next to the build, trains a
logistic regression on the breast-cancer table with 8-bit quantisation, times
its encrypted execution a row, then runs Veilbourse's `linear_rows` benchmark
(encrypted chunk x 30 weights) in the same run and prints the ratio.

    python3 docs/bench/concrete_ml.py [--rows 20]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
ENV = ROOT / "target" / "concrete-ml-venv"


def theirs(rows: int) -> float:
    """Seconds a row of Concrete ML's encrypted inference (key generation left out)."""
    import numpy as np
    from concrete.ml.sklearn import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    table = np.genfromtxt(ROOT / "tests/data/breast_cancer.csv", delimiter=",", skip_header=1)
    x, y = StandardScaler().fit_transform(table[:, :-1]), table[:, -1].astype(int)
    model = LogisticRegression(n_bits=8)
    model.fit(x, y)
    model.compile(x)
    model.fhe_circuit.keygen()
    model.predict(x[:1], fhe="execute")
    start = time.perf_counter()
    model.predict(x[:rows], fhe="execute")
    return (time.perf_counter() - start) / rows


def ours() -> float:
    """Seconds a row of the encrypted linear scores of 569 rows x 30 columns."""
    out = subprocess.run(
        ["cargo", "run", "--release", "-q", "-p", "veilbourse-eval", "--example", "linear_rows"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout
    return json.loads(out.strip().splitlines()[-1])["seconds_per_row"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        a = theirs(args.rows)
        b = ours()
        print(json.dumps({"concrete_ml_s_per_row": a, "veilbourse_s_per_row": b, "ratio": a / b}))
        return
    if not (ENV / "bin" / "python").exists():
        venv.create(ENV, with_pip=True)
        subprocess.run([ENV / "bin" / "pip", "install", "-q", "concrete-ml==1.9.0"], check=True)
    os.execv(ENV / "bin" / "python", ["python", __file__, "--inside", "--rows", str(args.rows)])


if __name__ == "__main__":
    sys.exit(main())
