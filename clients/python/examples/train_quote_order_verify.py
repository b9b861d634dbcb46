# %% [markdown]
# # From a model in scikit-learn to a proven answer about data that nobody sees
#
# Train on the public synthetic twin, quote, order with hidden weights, wait, open,
# verify the receipt. Needs a marketplace and an account with some credits:
#
#     export VEILBOURSE_URL=http://127.0.0.1:8080
#     export VEILBOURSE_MAIL=me@example.org VEILBOURSE_PASSWORD='...'
#     pip install './clients/python[pandas,progress]' scikit-learn
#     python examples/train_quote_order_verify.py
#
# `VEILBOURSE_LISTING` names a listing, `VEILBOURSE_TARGET` the column to predict. Who
# has the table itself (a custodian who tries the market out) names it by
# `VEILBOURSE_TABLE`, and the plain means are printed beside the opened ones.

# %%
from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Any

from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from veilbourse import Listing, Market, Model, Query, Result

# %% [markdown]
# ## Sign in
# The first key that the server shows is pinned; give `marketplace_key=` if the operator
# told you one. Keys and orders are kept in `~/.veilbourse` (`VEILBOURSE_HOME`).

# %%
market = Market(
    os.environ["VEILBOURSE_URL"],
    mail=os.environ["VEILBOURSE_MAIL"],
    password=os.environ["VEILBOURSE_PASSWORD"],
    marketplace_key=os.environ.get("VEILBOURSE_KEY"),
)
print(f"{market.url}, key {market.marketplace_key}")
print(f"available {market.balance().available} credits")

# %% [markdown]
# ## Look
# What is encrypted, what is public, what the custodian allows.

# %%
named = os.environ.get("VEILBOURSE_LISTING")
listing: Listing = market.listing(named) if named else market.listings()[0]
print(f"{listing.title}: {listing.schema.rows} rows, {listing.price_order} credits an order")
for column in listing.schema.columns:
    print(f"  {column.name:12} {column.kind:9} {column.minimum:g} to {column.maximum:g}")
for segment in listing.schema.segments:
    print(f"  {segment.label}: {segment.rows} rows")

# %% [markdown]
# ## Train
# The twin has the table's columns, each sampled from its published histogram: good for
# trying a pipeline out. (It has no joint property, so a model trained on it alone says
# little about the data. Bring your own model where you have one.)

# %%
target = os.environ.get("VEILBOURSE_TARGET", listing.schema.columns[0].name)
numeric = [c.name for c in listing.schema.columns if c.kind == "numeric" and c.name != target]
twin = listing.twin_frame()
estimator: Any = make_pipeline(StandardScaler(), Ridge(alpha=1.0))
estimator.fit(twin[numeric], twin[target])
model = Model.from_sklearn(estimator)
for name, weight in zip(model.columns, model.weights, strict=True):
    print(f"  {weight:+.6f} x {name}")
print(f"  {model.intercept:+.6f}")

# %% [markdown]
# ## Quote
# Price, precision and who learns what, before any money moves. The weights are hidden:
# the marketplace sees a commitment, the pod evaluates and proves.

# %%
query = Query.linear(model, rows="mean", private=True)
quote = market.quote(listing, query)
print(quote)

# %% [markdown]
# ## Order and wait
# The ticket, which alone opens the result, is on the disk before the order is placed.

# %%
order = quote.order(max_price="100.00")
print(f"order {order.id} in {order.folder}")
order.wait(progress=True)

# %% [markdown]
# ## Open and verify
# Every share of every key node is checked; then the receipt, with all its proofs.

# %%
result = order.result()
report = order.receipt().verify()
print(report.text)
assert report.evaluation == "proven"
assert report.marketplace_expected

# %% [markdown]
# ## Compare
# Where the table is at hand: the mean prediction of each segment in the clear. Weights
# and data were rounded before anything was encrypted: the error bar bounds that.


# %%
def plain_means(table: Path) -> dict[str, float]:
    """The mean prediction of each segment, from the table itself."""
    keys = [c.name for c in listing.schema.public_columns]
    groups: dict[str, list[dict[str, str]]] = {}
    with table.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            label = "; ".join(f"{k} = {row[k]}" for k in keys) or "all rows"
            groups.setdefault(label, []).append(row)
    return {label: model.mean_score(rows) for label, rows in groups.items()}


def compare(result: Result, plain: dict[str, float]) -> None:
    """One line a segment."""
    print(
        f"{'segment':16} {'rows':>6} {'opened':>12} {'error bar':>10} {'plain':>12} {'off by':>10}"
    )
    for value in result:
        line = f"{value.segment:16} {value.rows:6} {value.value:12.6f} {value.error_bar:10.2e}"
        if value.segment in plain:
            off = value.value - plain[value.segment]
            line += f" {plain[value.segment]:12.6f} {off:10.2e}"
            assert abs(off) <= value.error_bar, "beyond the error bar"
        print(line)


file = os.environ.get("VEILBOURSE_TABLE")
compare(result, plain_means(Path(file)) if file else {})
