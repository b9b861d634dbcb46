"""Quantised models: each returns (integer predictor, bootstraps a row, notes)."""

import numpy as np
from engine import decision_cost, fits, lut, requantise, requantise_cost, sign


def linear_decision(w, b, encoders, train, p, static=True):
    """sign(w x + b) with an accumulator of p bits over wide columns.

    The scale is the one of 64 between half the largest and the largest that
    keeps the decisions on the training rows closest to the float scores.
    """
    s = np.array([2.0**-e.s for e in encoders])
    real = w * s
    if static:
        hi = sum(max(r * e.lo, r * e.hi) for r, e in zip(real, encoders)) + b
        lo = sum(min(r * e.lo, r * e.hi) for r, e in zip(real, encoders)) + b
    else:
        z = train @ real + b
        lo, hi = z.min() - (z.max() - z.min()) / 2, z.max() + (z.max() - z.min()) / 2
    reach = max(abs(lo), abs(hi))
    want = (train @ real + b) >= 0
    best = None
    for step in range(64):
        a = (1 << (p - 1)) / reach * 2.0 ** (-step / 64) * 0.98
        wi, bi = np.rint(real * a).astype(np.int64), int(np.rint(b * a))
        z = train @ wi + bi
        if static:
            top = bi + sum(max(v * e.lo, v * e.hi) for v, e in zip(wi, encoders))
            low = bi + sum(min(v * e.lo, v * e.hi) for v, e in zip(wi, encoders))
            if fits(low, top) > p:
                continue
        agree = np.mean((z >= 0) == want)
        err = np.mean(np.abs(z / a - (train @ real + b)))
        if best is None or (-agree, err) < best[0]:
            best = ((-agree, err), wi, bi)
    if best is None:
        return None
    _, wi, bi = best
    return (lambda x: (sign(x @ wi + bi, p) > 0).astype(int)), decision_cost(p), f"max |w| {np.abs(wi).max()}"


class Comparisons:
    """x <= t as a bit, each distinct one once."""

    def __init__(self, encoders):
        self.encoders, self.seen = encoders, {}

    def bit(self, f, t):
        e = self.encoders[f]
        at = e.threshold(t)
        if at < e.lo:
            return ("const", 0)
        if at >= e.hi:
            return ("const", 1)
        self.seen[(f, at)] = fits(at - e.hi, at - e.lo)
        return (f, at)

    def cost(self):
        return sum(decision_cost(p) for p in self.seen.values())

    def value(self, key, x):
        if key[0] == "const":
            return np.full(len(x), key[1])
        f, at = key
        return (sign(at - x[:, f], self.seen[key]) + 1) // 2


def tree_luts(tree, node=0, depth=0):
    """Tables that turn a tree's bits into the sum of its leaf values: a subtree
    under `depth` conditions is one table when (depth + 1) 2^nodes <= 16."""
    def size(n):
        return 0 if tree.children_left[n] < 0 else 1 + size(tree.children_left[n]) + size(tree.children_right[n])

    if (depth + 1) << size(node) <= 16:
        return 1
    return tree_luts(tree, tree.children_left[node], depth + 1) + tree_luts(tree, tree.children_right[node], depth + 1)


class Pruned:
    """A single tree that decides: subtrees of one class are leaves."""

    def __init__(self, tree, value):
        self.__dict__.update({k: getattr(tree, k) for k in ("feature", "threshold", "node_count", "max_depth")})
        self.children_left, self.children_right = np.array(tree.children_left), np.array(tree.children_right)
        self.label = {}

        def walk(n):
            if tree.children_left[n] < 0:
                seen = {bool(value(tree, n) > 0)}
            else:
                seen = walk(tree.children_left[n]) | walk(tree.children_right[n])
            if len(seen) == 1:
                self.children_left[n] = self.children_right[n] = -1
                self.label[n] = 1.0 if True in seen else -1.0
            return seen

        walk(0)
        # What lies below a pruned node is out of reach.
        reach, todo = set(), [0]
        while todo:
            n = todo.pop()
            reach.add(n)
            if self.children_left[n] >= 0:
                todo += [self.children_left[n], self.children_right[n]]
        for n in set(range(self.node_count)) - reach:
            self.children_left[n] = self.children_right[n] = -1
            self.label[n] = -1.0


def ensemble(trees, values, encoders, bias, leaf_bits, classify, p=10):
    """Sum of trees; `values(tree, node)` is a leaf's real value. The sum of the
    leaf values, quantised to fill an accumulator of p bits, decides by its sign."""
    cmp = Comparisons(encoders)
    tables, reach = 0, 0.0
    plans = []
    for t in trees:
        tables += tree_luts(t)
        keys = {n: cmp.bit(t.feature[n], t.threshold[n]) for n in range(t.node_count) if t.children_left[n] >= 0}
        leaves = [values(t, n) for n in range(t.node_count) if t.children_left[n] < 0]
        reach += max(abs(v) for v in leaves)
        plans.append((t, keys))
    scale = ((1 << (leaf_bits - 1)) - 1) / (reach + abs(bias))

    def total(x):
        out = np.full(len(x), int(np.rint(bias * scale)), dtype=np.int64)
        for t, keys in plans:
            node = np.zeros(len(x), dtype=np.int64)
            bits = {n: cmp.value(k, x) for n, k in keys.items()}
            for _ in range(t.max_depth):
                nxt = node.copy()
                for n, b in bits.items():
                    here = node == n
                    nxt[here] = np.where(b[here] == 1, t.children_left[n], t.children_right[n])
                node = nxt
            leaf = {n: int(np.rint(values(t, n) * scale)) for n in range(t.node_count) if t.children_left[n] < 0}
            out += np.array([leaf[n] for n in node], dtype=np.int64)
        return out

    cost = cmp.cost() + tables + (decision_cost(p) if classify and len(trees) > 1 else 0)
    if classify:
        # A tie is the lower class's, as in scikit-learn.
        return (lambda x: (sign(-total(x), p) < 0).astype(int)), cost, f"{len(cmp.seen)} comparisons, {tables} tables"
    return (lambda x: total(x) / scale), cost, f"{len(cmp.seen)} comparisons, {tables} tables"


def additive(column_value, encoders, bias, p=10):
    """Boosted stumps over columns of at most 4 bits: one table a column."""
    used = [f for f, e in enumerate(encoders) if np.ptp([column_value(f, c) for c in range(e.hi + 1)]) > 0]
    tables = {f: np.array([column_value(f, min(c, encoders[f].hi)) for c in range(16)]) for f in used}
    scale = ((1 << (p - 1)) - 1) / (abs(bias) + sum(np.abs(t).max() for t in tables.values()))
    whole = {f: np.rint(t * scale).astype(np.int64) for f, t in tables.items()}

    def predict(x):
        z = np.full(len(x), int(np.rint(bias * scale)), dtype=np.int64)
        for f, t in whole.items():
            z += lut(t, x[:, f])
        return (sign(z, p) > 0).astype(int)

    return predict, len(used) + decision_cost(p), f"{len(used)} tables"


def mlp(w1, b1, w2, b2, activation, encoders, train, p1, p2, headroom):
    """One hidden layer: each unit's accumulator of p1 bits is stripped to a
    4-bit reading over the range seen in training, widened by `headroom`; the
    table holds the activation times the unit's output weight."""
    s = np.array([2.0**-e.s for e in encoders])
    units = []
    for j in range(w1.shape[1]):
        real = w1[:, j] * s
        z = train @ real + b1[j]
        mid, half = (z.max() + z.min()) / 2, (z.max() - z.min()) / 2 * (1 + headroom)
        lo, step = mid - half, 2 * half / (1 << (p1 - 1))
        wi = np.rint(real / step).astype(np.int64)
        bi = int(np.rint((b1[j] - lo) / step))
        centre = lo + (np.arange(16) + 0.5) * (2 * half / 16)
        units.append((wi, bi, w2[j] * activation(centre)))
    # A constant a table may be taken out, so that its entries use both signs.
    mids = [(t.max() + t.min()) / 2 for _, _, t in units]
    bias = b2 + sum(mids)
    scale = ((1 << (p2 - 1)) - 1) / (abs(bias) + sum(np.ptp(t) / 2 for _, _, t in units))
    tables = [np.rint((t - m) * scale).astype(np.int64) for (_, _, t), m in zip(units, mids)]

    def predict(x):
        out = np.full(len(x), int(np.rint(bias * scale)), dtype=np.int64)
        for (wi, bi, _), t in zip(units, tables):
            out += lut(t, requantise(x @ wi + bi, p1))
        return (sign(out, p2) > 0).astype(int)

    cost = len(units) * (requantise_cost(p1) + 1) + decision_cost(p2)
    return predict, cost, f"{len(units)} units"
