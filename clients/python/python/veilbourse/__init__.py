"""Buy insight from encrypted data: quote, order, wait, open, verify.

from veilbourse import Market, Query

market = Market("https://market.example", mail="me@example.org", password="...")
listing = market.listings("RAND")[0]
quote = market.quote(listing, Query.mean("mdvis"))
order = quote.order(max_price="50.00").wait()
print(order.result())
print(order.receipt().verify())
"""

from ._core import SigningKey, __version__, marketplace_id
from .errors import (
    ArgumentError,
    ConnectionFailed,
    Forbidden,
    InsecureConnection,
    InsufficientFunds,
    KeyringError,
    MarketplaceKeyChanged,
    ModelRefused,
    NotFound,
    OrderPending,
    OrderRefunded,
    PriceTooHigh,
    QuoteRefused,
    RateLimited,
    ReceiptRefused,
    Refused,
    ResultRefused,
    ServerError,
    Unauthenticated,
    VeilbourseError,
    WaitTimeout,
)
from .keyring import KeptOrder, Keyring
from .listing import Listing
from .market import Balance, Market, Marketplace
from .models import Model
from .money import Money
from .order import Order
from .progress import Standing
from .query import Query, Statistic
from .quote import Quote, QuotedOutput
from .receipt import Receipt, Report
from .result import Result, Value
from .schema import Column, Openers, Policy, PublicColumn, Schema, Segment, TicketClass

__all__ = [
    "ArgumentError",
    "Balance",
    "Column",
    "ConnectionFailed",
    "Forbidden",
    "InsecureConnection",
    "InsufficientFunds",
    "KeptOrder",
    "Keyring",
    "KeyringError",
    "Listing",
    "Market",
    "Marketplace",
    "MarketplaceKeyChanged",
    "Model",
    "ModelRefused",
    "Money",
    "NotFound",
    "Openers",
    "Order",
    "OrderPending",
    "OrderRefunded",
    "Policy",
    "PriceTooHigh",
    "PublicColumn",
    "Query",
    "Quote",
    "QuoteRefused",
    "QuotedOutput",
    "RateLimited",
    "Receipt",
    "ReceiptRefused",
    "Refused",
    "Report",
    "Result",
    "ResultRefused",
    "Schema",
    "Segment",
    "ServerError",
    "SigningKey",
    "Standing",
    "Statistic",
    "TicketClass",
    "Unauthenticated",
    "Value",
    "VeilbourseError",
    "WaitTimeout",
    "__version__",
    "marketplace_id",
]
