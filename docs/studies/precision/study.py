#!/usr/bin/env python3
"""Accuracy against bootstraps a row, for every kind of model and both tables.

    python3 docs/studies/precision/study.py            # prints the tables of decision 30

Needs numpy, scikit-learn and onnx. Seeded; single-threaded; under a minute.
"""

import json
import pathlib

import numpy as np
import onnx
from engine import GADGETS, PLAIN, SECONDS, Bins, Wide, codes, decision_cost, encode, fits, log2_failure, sign
from models import Pruned, additive, ensemble, linear_decision, mlp
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

ROOT = pathlib.Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data"
SEED = 30


def table(name):
    return np.genfromtxt(DATA / name, delimiter=",", skip_header=1)


def split(rows, expected):
    test = np.array(json.loads((DATA / "models" / expected).read_text())["test_rows"])
    return np.setdiff1d(np.arange(rows), test), test


def attributes(name):
    graph = onnx.load(DATA / "models" / name).graph
    nodes = {n.op_type: {a.name: onnx.helper.get_attribute_value(a) for a in n.attribute} for n in graph.node}
    return nodes, {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}


class OnnxTree:
    """The nodes of a TreeEnsembleClassifier in scikit-learn's spelling."""

    def __init__(self, a):
        order = {n: i for i, n in enumerate(a["nodes_nodeids"])}
        leaf = np.array([m == b"LEAF" for m in a["nodes_modes"]])
        self.node_count = len(order)
        self.feature, self.threshold = a["nodes_featureids"], a["nodes_values"]
        self.children_left = np.where(leaf, -1, [order[i] for i in a["nodes_truenodeids"]])
        self.children_right = np.where(leaf, -1, [order[i] for i in a["nodes_falsenodeids"]])
        self.weight = {order[n]: w for n, w in zip(a["class_nodeids"], a["class_weights"])}
        depth = lambda n: 0 if leaf[n] else 1 + max(depth(self.children_left[n]), depth(self.children_right[n]))
        self.max_depth = depth(0)


def say(kind, encoding, p, cost, float_acc, acc, agree, note=""):
    print(f"| {kind} | {encoding} | {p} | {cost} | {cost * SECONDS:.2f} | {float_acc} | {acc} | {agree} | {note} |")


def header(title):
    print(f"\n### {title}\n")
    print("| model | columns | accumulator bits | bootstraps a row | s a row at 25 ms | float | quantised | agree | |")
    print("|---|---|---|---|---|---|---|---|---|")


def classify(kind, encoding, p, built, enc, x, y, float_pred):
    predict, cost, note = built
    got = predict(codes(enc, x))
    pc = lambda v: f"{100 * v:.1f} %"
    say(kind, encoding, p, cost, pc(np.mean(float_pred == y)), pc(np.mean(got == y)), pc(np.mean(got == float_pred)), note)


def linear(kind, w, b, x, y, train, test):
    float_pred = (x[test] @ w + b >= 0).astype(int)
    for bits, ps in [(4, (10, 12, 15)), (6, (10, 12, 15, 18)), (8, (15, 18)), (10, (15, 18, 20))]:
        enc = encode("wide", bits, x)
        for p in ps:
            for static in (True, False):
                built = linear_decision(w, b, enc, codes(enc, x[train]), p, static)
                if built is not None:
                    name = f"{p}{'' if static else ', wraps'}"
                    classify(kind, f"wide {bits}", name, built, enc, x[test], y[test], float_pred)


def linear_kinds(bc, rand):
    header("Decisions of linear models")
    x, y = bc[:, :-1], bc[:, -1].astype(int)
    train, test = split(len(x), "breast_cancer_logistic.expected.json")
    nodes, _ = attributes("breast_cancer_logistic.onnx")
    scale, offset = np.array(nodes["Scaler"]["scale"]), np.array(nodes["Scaler"]["offset"])
    coef = np.array(nodes["LinearClassifier"]["coefficients"])[30:]
    w, b = coef * scale, nodes["LinearClassifier"]["intercepts"][1] - coef @ (scale * offset)
    linear("breast cancer, logistic", w, b, x, y, train, test)
    sc = StandardScaler().fit(x[train])
    svm = LinearSVC(C=0.1, random_state=SEED).fit(sc.transform(x[train]), y[train])
    w = svm.coef_[0] / sc.scale_
    linear("breast cancer, linear SVM", w, svm.intercept_[0] - w @ sc.mean_, x, y, train, test)
    x, y = rand[:, 1:], (rand[:, 0] > 0).astype(int)
    train, test = split(len(x), "randhie_ols.expected.json")
    sc = StandardScaler().fit(x[train])
    lr = LogisticRegression().fit(sc.transform(x[train]), y[train])
    w = lr.coef_[0] / sc.scale_
    linear("RAND, logistic (any visit)", w, lr.intercept_[0] - w @ sc.mean_, x, y, train, test)


def counts(bc, rand):
    print("\n### Counts above a threshold and histograms, all rows\n")
    print("| column | columns | accumulator bits | bootstraps a row | true | counted |")
    print("|---|---|---|---|---|---|")
    for name, col, t in [("mean radius > 15", bc[:, 0], 15.0), ("worst area > 880", bc[:, 23], 880.0),
                         ("chronic diseases > 11", rand[:, 6], 11.0), ("visits > 4", rand[:, 0], 4.0)]:
        for kind, bits in [("bins", 4), ("wide", 4), ("wide", 6), ("wide", 8), ("wide", 9), ("wide", 10), ("wide", 12)]:
            e = (Wide if kind == "wide" else Bins)(col, bits)
            at = e.threshold(t)
            p = fits(at - e.hi, at - e.lo)
            got = int(np.sum(sign(at - e.codes(col), p) < 0))
            print(f"| {name} | {kind} {bits} | {p} | {decision_cost(p)} | {int(np.sum(col > t))} | {got} |")
    for name, col in [("mean radius", bc[:, 0]), ("chronic diseases", rand[:, 6])]:
        e = Bins(col, 4)
        c = np.bincount(e.codes(col), minlength=16)
        print(f"| histogram of {name}, published edges | bins 4 | - | 15 (0 as one-hot columns) | exact | exact, "
              f"{np.count_nonzero(c)} bins, least {c[c > 0].min()} |")


def trees(bc, rand):
    header("Trees, forests, boosting")
    x, y = bc[:, :-1], bc[:, -1].astype(int)
    train, test = split(len(x), "breast_cancer_tree.expected.json")
    encodings = [("bins", 4), ("wide", 4), ("wide", 6), ("bins", 8), ("wide", 8), ("wide", 9), ("wide", 10), ("wide", 12)]
    nodes, _ = attributes("breast_cancer_tree.onnx")
    whole = OnnxTree(nodes["TreeEnsembleClassifier"])
    shipped = Pruned(whole, lambda t, n: t.weight[n] - 0.5)
    expected = json.loads((DATA / "models/breast_cancer_tree.expected.json").read_text())
    float_pred = np.array(expected["predictions"]).astype(int)
    share = lambda t, n: t.value[n][0][1] / t.value[n][0].sum() - 0.5
    centred = lambda t, n: t.label[n] if isinstance(t, Pruned) else share(t, n)
    for kind, bits in encodings:
        enc = encode(kind, bits, x)
        built = ensemble([shipped], centred, enc, 0.0, 10, True)
        classify("breast cancer, tree (shipped)", f"{kind} {bits}", "-", built, enc, x[test], y[test], float_pred)
    enc = encode("bins", 4, x)
    own = DecisionTreeClassifier(max_depth=4, random_state=SEED).fit(codes(enc, x[train]), y[train])
    ident = encode("bins", 4, x)
    for e in ident:
        e.threshold = lambda t: int(np.floor(t))
    built = ensemble([Pruned(own.tree_, share)], centred, ident, 0.0, 10, True)
    classify("breast cancer, tree fitted on the bins", "bins 4", "-", built, enc, x[test], y[test], float_pred)

    forest = RandomForestClassifier(10, max_depth=3, random_state=SEED).fit(x[train], y[train])
    fp = forest.predict(x[test])
    for kind, bits in [("bins", 4), ("wide", 6), ("wide", 8), ("wide", 9), ("wide", 10)]:
        enc = encode(kind, bits, x)
        for p in (7, 10):
            built = ensemble([e.tree_ for e in forest.estimators_], centred, enc, 0.0, p, True, p)
            classify("breast cancer, forest 10 x depth 3", f"{kind} {bits}", p, built, enc, x[test], y[test], fp)

    raw = lambda rate: (lambda t, n: rate * t.value[n][0][0])
    gb = GradientBoostingClassifier(n_estimators=20, max_depth=2, learning_rate=0.3, random_state=SEED).fit(x[train], y[train])
    fp = gb.predict(x[test])
    start = float(np.log(y[train].mean() / (1 - y[train].mean())))
    for kind, bits in [("bins", 4), ("wide", 6), ("wide", 8), ("wide", 9), ("wide", 10)]:
        enc = encode(kind, bits, x)
        for p in (10, 12):
            built = ensemble([e[0].tree_ for e in gb.estimators_], raw(0.3), enc, start, p, True, p)
            classify("breast cancer, boosting 20 x depth 2", f"{kind} {bits}", p, built, enc, x[test], y[test], fp)
    enc = encode("bins", 4, x)
    stumps = GradientBoostingClassifier(n_estimators=60, max_depth=1, learning_rate=0.3, random_state=SEED).fit(x[train], y[train])
    on_bins = GradientBoostingClassifier(n_estimators=60, max_depth=1, learning_rate=0.3, random_state=SEED).fit(codes(enc, x[train]), y[train])

    def per_column(model, snap):
        def value(f, c):
            v = 0.0
            for e in model.estimators_:
                t = e[0].tree_
                if t.feature[0] == f:
                    at = snap(f, t.threshold[0])
                    v += 0.3 * t.value[t.children_left[0] if c <= at else t.children_right[0]][0][0]
            return v
        return value

    fp = stumps.predict(x[test])
    for p in (7, 10):
        built = additive(per_column(stumps, lambda f, t: enc[f].threshold(t)), enc, start, p)
        classify("breast cancer, 60 boosted stumps", "bins 4", p, built, enc, x[test], y[test], fp)
        built = additive(per_column(on_bins, lambda f, t: int(np.floor(t))), enc, start, p)
        classify("breast cancer, 60 stumps fitted on the bins", "bins 4", p, built, enc, x[test], y[test], fp)

    x, visits = rand[:, 1:], rand[:, 0]
    y = (visits > 0).astype(int)
    train, test = split(len(x), "randhie_ols.expected.json")
    for name, model, vals, bias in [
        ("RAND, tree depth 4 (any visit)", DecisionTreeClassifier(max_depth=4, random_state=SEED), centred, 0.0),
        ("RAND, forest 10 x depth 3 (any visit)", RandomForestClassifier(10, max_depth=3, random_state=SEED), centred, 0.0),
    ]:
        model.fit(x[train], y[train])
        fp = model.predict(x[test])
        ts = [e.tree_ for e in model.estimators_] if hasattr(model, "estimators_") else [Pruned(model.tree_, share)]
        for kind, bits in [("bins", 4), ("wide", 6), ("wide", 9), ("wide", 12)]:
            enc = encode(kind, bits, x)
            classify(name, f"{kind} {bits}", 10, ensemble(ts, vals, enc, bias, 10, True), enc, x[test], y[test], fp)
    gr = GradientBoostingRegressor(n_estimators=20, max_depth=2, learning_rate=0.3, random_state=SEED).fit(x[train], visits[train])
    fp = gr.predict(x[test])
    for kind, bits in [("bins", 4), ("wide", 6), ("wide", 9), ("wide", 12)]:
        enc = encode(kind, bits, x)
        predict, cost, note = ensemble([e[0].tree_ for e in gr.estimators_], raw(0.3), enc, visits[train].mean(), 14, False)
        got = predict(codes(enc, x[test]))
        r = lambda v: f"R2 {1 - np.mean((v - visits[test]) ** 2) / visits[test].var():.4f}"
        say("RAND, boosting 20 x depth 2 (visits)", f"{kind} {bits}", "-", cost, r(fp), r(got),
            f"mean {fp.mean():.4f} / {got.mean():.4f}", note)


def networks(bc, rand):
    header("Networks with one hidden layer of 8 (ReLU)")
    x, y = bc[:, :-1], bc[:, -1].astype(int)
    train, test = split(len(x), "breast_cancer_mlp8.expected.json")
    nodes, init = attributes("breast_cancer_mlp8.onnx")
    scale, offset = np.array(nodes["Scaler"]["scale"]), np.array(nodes["Scaler"]["offset"])
    w1 = init["coefficient"] * scale[:, None]
    shipped = (w1, init["intercepts"][0] - offset @ w1, init["coefficient1"][:, 0], float(init["intercepts1"][0, 0]))
    xr, yr = rand[:, 1:], (rand[:, 0] > 0).astype(int)
    rtrain, rtest = split(len(xr), "randhie_ols.expected.json")
    sc = StandardScaler().fit(xr[rtrain])
    net = MLPClassifier((8,), random_state=SEED, max_iter=200).fit(sc.transform(xr[rtrain]), yr[rtrain])
    wr = net.coefs_[0] / sc.scale_[:, None]
    fitted = (wr, net.intercepts_[0] - sc.mean_ @ wr, net.coefs_[1][:, 0], float(net.intercepts_[1][0]))
    relu = lambda v: np.maximum(v, 0)
    for name, (w1, b1, w2, b2), x, y, train, test in [
        ("breast cancer, network (shipped)", shipped, x, y, train, test),
        ("RAND, network (any visit)", fitted, xr, yr, rtrain, rtest),
    ]:
        fp = (relu(x[test] @ w1 + b1) @ w2 + b2 >= 0).astype(int)
        for bits, p1, p2 in [(4, 10, 10), (6, 10, 10), (4, 13, 10), (6, 13, 10), (8, 15, 10), (10, 15, 10), (10, 18, 10), (6, 13, 7), (8, 15, 12)]:
            enc = encode("wide", bits, x)
            built = mlp(w1, b1, w2, b2, relu, enc, codes(enc, x[train]), p1, p2, 0.25)
            classify(name, f"wide {bits}", f"{p1} / {p2}, wraps", built, enc, x[test], y[test], fp)


def noise():
    print("\n### Chance that the most delicate reading of a Requantise errs, log2\n")
    print("| accumulator bits | bootstraps of a decision | " + " | ".join(GADGETS) + " | 2^11 l=3 without compensation |")
    print("|---|---|" + "---|" * (len(GADGETS) + 1))
    for p in (5, 6, 8, 10, 12, 13, 14, 15, 16, 17, 18, 20):
        cells = [f"{log2_failure(p, g):.0f}" for g in GADGETS]
        print(f"| {p} | {decision_cost(p)} | " + " | ".join(cells) + f" | {log2_failure(p, spread=PLAIN):.0f} |")


def sums():
    print("\n### Rows that one sum of tables can take\n")
    print("n values of magnitude at most v add up with n v <= 2^(62-k) and 13.4 sigma sqrt(n) < 2^(k-1).\n")
    print("| values | " + " | ".join(GADGETS) + " |")
    print("|---|" + "---|" * len(GADGETS))
    for bits in (0, 4, 8):
        cells = []
        for log2 in GADGETS.values():
            # Floors: k is an integer.
            best = max((n for n in range(1, 1 << 15)
                        for k in [int(np.ceil(np.log2(13.4) + log2 + np.log2(n) / 2 + 1))] if k + np.log2(n) + bits <= 62), default=0)
            cells.append(str(best))
        print(f"| {'bits (counts)' if bits == 0 else f'magnitude 2^{bits}'} | " + " | ".join(cells) + " |")


def main():
    bc, rand = table("breast_cancer.csv"), table("randhie.csv")
    linear_kinds(bc, rand)
    counts(bc, rand)
    trees(bc, rand)
    networks(bc, rand)
    noise()
    sums()


if __name__ == "__main__":
    main()
