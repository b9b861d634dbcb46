//! Reading: each root field asks the policy table first (ACC-1).
//!
//! Over 500 lines: a schema's root type is one `impl`.

use crate::{
    Account, AuditCheck, AuditEntry, Balance, Caller, CashRequestEntry, KeyNode,
    LedgerAccountEntry, LedgerCheck, ListingObject, ListingTickets, MachineEntry, MachineRole,
    Marketplace, Money, OrderProgress, PriceSplit, Quote, Reveals, ReviewEntry, Service,
    TransferEntry, error::to_graphql, listing_reason, refund_reason,
};
use async_graphql::{
    Context, Enum, InputObject, Json, Object, Result,
    connection::{Connection, Edge, EmptyFields},
};
use serde_json::Value;
use std::{str::FromStr, sync::Arc};
use veilbourse_core::program::Program;
use veilbourse_domain::{
    Digest, DomainError,
    access::{Pass, Surface, Viewer, authorize},
    admit::quota_left,
    id::{ListingId, MachineId, OrderId},
    ledger::{LedgerAccount, TransferKind},
    listing,
    order::{self, OrderState},
    ports::{ListingFilter, OrderFilter},
    records::{DocumentKind, Page, PageRequest},
};

/// A list with cursors.
pub type List<T> = Connection<String, T, EmptyFields, EmptyFields>;

/// Longest text to search for, in bytes.
const MAX_SEARCH: usize = 200;
/// Items on a page unless told otherwise.
const PAGE: u32 = 20;

pub(crate) fn service<'a>(ctx: &Context<'a>) -> Result<&'a dyn Service> {
    ctx.data::<Arc<dyn Service>>().map(AsRef::as_ref)
}

pub(crate) fn caller<'a>(ctx: &Context<'a>) -> Result<&'a Caller> {
    ctx.data::<Caller>()
}

/// Maps refusals for the client.
pub(crate) fn refuse(ctx: &Context<'_>) -> impl Fn(DomainError) -> async_graphql::Error {
    let service = service(ctx).ok();
    move |e| to_graphql(&e, |e| service.map_or_else(String::new, |s| s.reference(e)))
}

/// ACC-1: the viewer's pass for a root field.
pub(crate) fn pass(ctx: &Context<'_>, surface: Surface, name: &str) -> Result<Pass> {
    let viewer = match &caller(ctx)?.viewer {
        Ok(v) => v.clone(),
        Err(e) => return Err(refuse(ctx)(e.clone())),
    };
    authorize(surface, name, &viewer).map_err(refuse(ctx))
}

pub(crate) fn parsed<T: FromStr<Err = DomainError>>(ctx: &Context<'_>, s: &str) -> Result<T> {
    s.parse().map_err(refuse(ctx))
}

pub(crate) fn page(
    ctx: &Context<'_>,
    first: Option<u32>,
    after: Option<String>,
) -> Result<PageRequest> {
    PageRequest::new(first.unwrap_or(PAGE), after).map_err(refuse(ctx))
}

/// A text to search for: each of its words is looked for in every row (GQL-1).
fn searched(ctx: &Context<'_>, text: Option<String>) -> Result<Option<String>> {
    match text {
        Some(s) if s.len() > MAX_SEARCH => Err(refuse(ctx)(DomainError::TooLarge {
            field: "search",
            limit: MAX_SEARCH as u64,
            value: s.len() as u64,
        })),
        s => Ok(s),
    }
}

pub(crate) fn list<T, U: async_graphql::OutputType>(
    page: Page<T>,
    after: bool,
    into: impl Fn(T) -> U,
) -> List<U> {
    let mut c = Connection::new(after, page.more);
    c.edges.extend(
        page.items
            .into_iter()
            .map(|(cursor, t)| Edge::new(cursor, into(t))),
    );
    c
}

/// A listing.
#[derive(Debug, Clone)]
pub struct Listing(pub listing::Listing);

impl Listing {
    fn visible_in_full(&self, ctx: &Context<'_>) -> bool {
        match caller(ctx).map(|c| c.viewer.clone()) {
            Ok(Ok(v)) => v.sees_all() || v.account().is_ok_and(|a| a == self.0.owner),
            _ => false,
        }
    }
}

#[Object]
impl Listing {
    /// Its id.
    async fn id(&self) -> String {
        self.0.id.to_string()
    }
    /// Title.
    async fn title(&self) -> &str {
        &self.0.title
    }
    /// Description.
    async fn description(&self) -> &str {
        &self.0.description
    }
    /// draft, submitted, published, rejected, paused or withdrawn.
    async fn state(&self) -> &str {
        self.0.state.name()
    }
    /// Why it was rejected.
    async fn reason(&self) -> Option<String> {
        listing_reason(&self.0.state)
    }
    /// The dataset root D.
    async fn dataset(&self) -> String {
        self.0.dataset.to_string()
    }
    /// The custodian's account.
    async fn owner(&self) -> String {
        self.0.owner.to_string()
    }
    /// Milliseconds since the epoch.
    async fn created_at(&self) -> String {
        self.0.created_at.to_string()
    }
    /// The custodian's name.
    #[graphql(complexity = "2")]
    async fn owner_name(&self, ctx: &Context<'_>) -> Result<String> {
        let store = service(ctx)?.store();
        let owner = store.account(self.0.owner).await.map_err(refuse(ctx))?;
        Ok(owner.name)
    }
    /// When it last changed, milliseconds since the epoch: `seen` of
    /// `reviewListing`.
    async fn updated_at(&self) -> String {
        self.0.updated_at.to_string()
    }
    /// The history of its review, oldest first; empty but for the owner and
    /// staff.
    #[graphql(complexity = "10 + child_complexity")]
    async fn reviews(&self, ctx: &Context<'_>) -> Result<Vec<ReviewEntry>> {
        if !self.visible_in_full(ctx) {
            return Ok(Vec::new());
        }
        let all = service(ctx)?.store().reviews(self.0.id).await;
        let all = all.map_err(refuse(ctx))?;
        Ok(all.into_iter().map(Into::into).collect())
    }
    /// Price of an order, from the newest policy.
    async fn price_order(&self) -> Option<Money> {
        self.0.policy.as_ref().map(|p| p.price_order.into())
    }
    /// Price of each output value on top.
    async fn price_output(&self) -> Option<Money> {
        self.0.policy.as_ref().map(|p| p.price_output.into())
    }
    /// Everything that the root covers: schema, scales, segments, roots. Up to
    /// 8 MiB: a request may ask for two, a list of four for theirs.
    #[graphql(complexity = "900")]
    async fn manifest(&self, ctx: &Context<'_>) -> Result<Json<Value>> {
        let text = service(ctx)?
            .store()
            .manifest(self.0.id)
            .await
            .map_err(refuse(ctx))?;
        Ok(Json(serde_json::from_str(&text)?))
    }
    /// The newest signed policy.
    #[graphql(complexity = "5")]
    async fn policy(&self, ctx: &Context<'_>) -> Result<Option<Json<Value>>> {
        let Some(p) = &self.0.policy else {
            return Ok(None);
        };
        let signed = service(ctx)?
            .store()
            .policy(self.0.id, p.version)
            .await
            .map_err(refuse(ctx))?;
        Ok(Some(Json(serde_json::from_str(&signed.text)?)))
    }
    /// Who opens, from the newest policy: the JSON of the documents' openers.
    async fn openers(&self) -> Result<Option<String>> {
        let openers = self.0.policy.as_ref().map(|p| &p.openers);
        Ok(openers.map(serde_json::to_string).transpose()?)
    }
    /// Opening tickets of the newest policy; null in custodian-held custody.
    #[graphql(complexity = "20 + child_complexity")]
    async fn tickets(&self, ctx: &Context<'_>) -> Result<Option<ListingTickets>> {
        service(ctx)?.tickets(&self.0).await.map_err(refuse(ctx))
    }
    /// What was revealed and what is left.
    #[graphql(complexity = "5")]
    async fn reveals(&self, ctx: &Context<'_>) -> Result<Option<Reveals>> {
        let Some(p) = &self.0.policy else {
            return Ok(None);
        };
        let usage = service(ctx)?
            .store()
            .usage(self.0.id)
            .await
            .map_err(refuse(ctx))?;
        Ok(Some(Reveals::new(usage, quota_left(p, &usage))))
    }
    /// Uploaded objects; only for the owner and staff.
    #[graphql(complexity = "10")]
    async fn objects(&self, ctx: &Context<'_>) -> Result<Option<Vec<ListingObject>>> {
        if !self.visible_in_full(ctx) {
            return Ok(None);
        }
        let all = service(ctx)?
            .store()
            .objects(self.0.id)
            .await
            .map_err(refuse(ctx))?;
        Ok(Some(all.into_iter().map(Into::into).collect()))
    }
}

/// An order.
#[derive(Debug, Clone)]
pub struct Order(pub order::Order);

#[Object]
impl Order {
    /// Its id.
    async fn id(&self) -> String {
        self.0.id.to_string()
    }
    /// funded, leased, evaluated, verified, opening, released or refunded.
    async fn state(&self) -> &str {
        self.0.state.name()
    }
    /// rejected, expired or undeliverable.
    async fn refund_reason(&self) -> Option<String> {
        refund_reason(&self.0.state).0
    }
    /// The rule or cause behind it.
    async fn refund_detail(&self) -> Option<String> {
        refund_reason(&self.0.state).1
    }
    /// The listing.
    async fn listing(&self) -> String {
        self.0.listing.to_string()
    }
    /// Its title, for the order's parties also once it is withdrawn.
    #[graphql(complexity = "2")]
    async fn listing_title(&self, ctx: &Context<'_>) -> Result<String> {
        let store = service(ctx)?.store();
        let listing = store.listing(self.0.listing).await.map_err(refuse(ctx))?;
        Ok(listing.title)
    }
    /// The digest of the signed order.
    async fn digest(&self) -> String {
        self.0.terms.digest.to_string()
    }
    /// Price and split.
    async fn price(&self) -> PriceSplit {
        PriceSplit {
            total: self.0.price().into(),
            fee: self.0.split.fee.into(),
            pod: self.0.split.pod.into(),
            custodian: self.0.split.custodian.into(),
        }
    }
    /// Values revealed.
    async fn values(&self) -> String {
        self.0.values.to_string()
    }
    /// What was asked for, as the order's parties see it: the program with its
    /// public weights; of private ones the commitment.
    #[graphql(complexity = "50")]
    async fn program(&self, ctx: &Context<'_>) -> Result<Json<Value>> {
        let store = service(ctx)?.store();
        let signed = store.document(self.0.id, DocumentKind::Order).await;
        let signed = signed.map_err(refuse(ctx))?;
        let mut document: Value = serde_json::from_str(&signed.text)?;
        Ok(Json(document["body"]["program"].take()))
    }
    /// Milliseconds since the epoch.
    async fn placed_at(&self) -> String {
        self.0.placed_at.to_string()
    }
    /// Milliseconds since the epoch.
    async fn deadline(&self) -> String {
        self.0.terms.deadline.to_string()
    }
    /// How far the pod is.
    #[graphql(complexity = "3")]
    async fn progress(&self, ctx: &Context<'_>) -> Result<Option<OrderProgress>> {
        let p = service(ctx)?
            .store()
            .progress(self.0.id)
            .await
            .map_err(refuse(ctx))?;
        Ok(p.map(|(stage, per_mille)| OrderProgress {
            order: self.0.id.to_string(),
            state: self.0.state.name().into(),
            stage,
            per_mille,
        }))
    }
    /// The signed grant, once issued: with the order it names the result's seal.
    #[graphql(complexity = "5")]
    async fn grant(&self, ctx: &Context<'_>) -> Result<Option<Json<Value>>> {
        match service(ctx)?
            .store()
            .document(self.0.id, DocumentKind::Grant)
            .await
        {
            Ok(d) => Ok(Some(Json(serde_json::from_str(&d.text)?))),
            Err(DomainError::NotFound { .. }) => Ok(None),
            Err(e) => Err(refuse(ctx)(e)),
        }
    }
    /// Grants so far: in committee custody each is to another quorum.
    async fn grants(&self) -> u32 {
        self.0.grant_count()
    }
    /// Nodes that have delivered for the newest grant, or for the one that was
    /// delivered for.
    #[graphql(complexity = "5")]
    async fn deliveries(&self, ctx: &Context<'_>) -> Result<u32> {
        let newest = match &self.0.state {
            OrderState::Released(r) if !self.0.terms.by_committee() => {
                return Ok(u32::try_from(r.deliveries.len()).unwrap_or(u32::MAX));
            }
            OrderState::Released(r) => r.number,
            _ => match self.0.grant_count().checked_sub(1) {
                Some(newest) => newest,
                None => return Ok(0),
            },
        };
        let store = service(ctx)?.store();
        let parts = store.openings(self.0.id).await.map_err(refuse(ctx))?;
        let delivered = parts.iter().filter(|p| p.number == newest);
        let delivered = delivered.filter(|p| p.delivered.is_some()).count();
        Ok(u32::try_from(delivered).unwrap_or(u32::MAX))
    }
    /// Digests of all quotes of a joint order, its own among them; empty for an
    /// order by itself.
    async fn joint(&self) -> Vec<String> {
        let quotes = self.0.terms.joint.iter();
        quotes.map(ToString::to_string).collect()
    }
    /// Whether `/v1/orders/{id}/receipt` is ready.
    async fn receipt_ready(&self, ctx: &Context<'_>) -> Result<bool> {
        match service(ctx)?
            .store()
            .document(self.0.id, DocumentKind::Receipt)
            .await
        {
            Ok(_) => Ok(true),
            Err(DomainError::NotFound { .. }) => Ok(false),
            Err(e) => Err(refuse(ctx)(e)),
        }
    }
}

/// How listings are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ListingSort {
    /// Newest first.
    Newest,
}

/// Which listings.
#[derive(Debug, Default, InputObject)]
pub struct ListingFilterInput {
    /// Only one's own, in any state.
    #[graphql(default)]
    pub mine: bool,
}

/// The query root.
#[derive(Debug, Default)]
pub struct MarketQuery;

#[Object]
impl MarketQuery {
    /// What everybody may know of the marketplace.
    async fn marketplace(&self, ctx: &Context<'_>) -> Result<Marketplace> {
        pass(ctx, Surface::Query, "marketplace")?;
        Ok(service(ctx)?.marketplace().into())
    }

    /// The account signed in.
    async fn me(&self, ctx: &Context<'_>) -> Result<Account> {
        let p = pass(ctx, Surface::Query, "me")?;
        let store = service(ctx)?.store();
        let id = p.viewer().account().map_err(refuse(ctx))?;
        let a = store.account(id).await.map_err(refuse(ctx))?;
        let keys = store.signing_keys(id).await.map_err(refuse(ctx))?;
        Ok(Account::new(a, keys))
    }

    /// The catalogue.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn listings(
        &self,
        ctx: &Context<'_>,
        filter: Option<ListingFilterInput>,
        search: Option<String>,
        #[graphql(default_with = "ListingSort::Newest")] sort: ListingSort,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<Listing>> {
        let p = pass(ctx, Surface::Query, "listings")?;
        let ListingSort::Newest = sort;
        let mut f = ListingFilter {
            search: searched(ctx, search)?,
            ..ListingFilter::default()
        };
        if filter.is_some_and(|f| f.mine) {
            f.owner = Some(p.viewer().account().map_err(refuse(ctx))?);
            f.states = [
                "draft",
                "submitted",
                "published",
                "rejected",
                "paused",
                "withdrawn",
            ]
            .map(String::from)
            .to_vec();
        }
        let page = page(ctx, first, after)?;
        let found = service(ctx)?
            .store()
            .listings(&f, &page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Listing))
    }

    /// One listing; what is not public only for its owner and staff (ACC-6).
    async fn listing(&self, ctx: &Context<'_>, id: String) -> Result<Listing> {
        let p = pass(ctx, Surface::Query, "listing")?;
        let l = service(ctx)?
            .store()
            .listing(parsed::<ListingId>(ctx, &id)?)
            .await
            .map_err(refuse(ctx))?;
        if !l.state.public() {
            p.sees("listing", &[l.owner]).map_err(refuse(ctx))?;
        }
        Ok(Listing(l))
    }

    /// Price, time, precision and who learns what, before any money moves.
    #[graphql(complexity = "50 + child_complexity")]
    async fn quote(
        &self,
        ctx: &Context<'_>,
        listing: String,
        program: Json<Value>,
        pod: Option<String>,
        ticket_class: Option<String>,
    ) -> Result<Quote> {
        let p = pass(ctx, Surface::Query, "quote")?;
        let program: Program = serde_json::from_value(program.0).map_err(|e| {
            refuse(ctx)(DomainError::Program {
                reason: e.to_string(),
            })
        })?;
        let pod = pod.map(|s| parsed::<MachineId>(ctx, &s)).transpose()?;
        let digest = |s: String| {
            let bad = || DomainError::invalid("ticketClass", "expected 64 lower-case hex digits");
            Digest::from_hex(&s).ok_or_else(|| refuse(ctx)(bad()))
        };
        let class = ticket_class.map(digest).transpose()?;
        let offer = service(ctx)?
            .quote(&p, parsed(ctx, &listing)?, program, pod, class)
            .await
            .map_err(refuse(ctx))?;
        Ok(offer.into())
    }

    /// One order; only for its parties and staff (ACC-6).
    async fn order(&self, ctx: &Context<'_>, id: String) -> Result<Order> {
        let p = pass(ctx, Surface::Query, "order")?;
        let id: OrderId = parsed(ctx, &id)?;
        let o = service(ctx)?.store().order(id).await.map_err(refuse(ctx))?;
        p.sees("order", &[o.buyer, o.custodian, o.pod_operator])
            .map_err(refuse(ctx))?;
        Ok(Order(o))
    }

    /// Orders where one is buyer, custodian or pod operator; staff see all.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
        state: Option<String>,
    ) -> Result<List<Order>> {
        let p = pass(ctx, Surface::Query, "orders")?;
        let party = match p.viewer().sees_all() {
            true => None,
            false => Some(p.viewer().account().map_err(refuse(ctx))?),
        };
        let page = page(ctx, first, after)?;
        let found = service(ctx)?
            .store()
            .orders(&OrderFilter { party, state }, &page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Order))
    }

    /// One's balance.
    async fn my_balance(&self, ctx: &Context<'_>) -> Result<Balance> {
        let p = pass(ctx, Surface::Query, "myBalance")?;
        let account = LedgerAccount::User(p.viewer().account().map_err(refuse(ctx))?);
        let b = service(ctx)?
            .store()
            .balance(account)
            .await
            .map_err(refuse(ctx))?;
        Ok(b.into())
    }

    /// One's transfers, newest first.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn my_postings(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<TransferEntry>> {
        let p = pass(ctx, Surface::Query, "myPostings")?;
        let account = LedgerAccount::User(p.viewer().account().map_err(refuse(ctx))?);
        let page = page(ctx, first, after)?;
        let found = service(ctx)?
            .store()
            .transfers(Some(account), &page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Into::into))
    }

    /// Deposits: one's own; staff see all.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn deposits(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<CashRequestEntry>> {
        cash(ctx, "deposits", TransferKind::Deposit, first, after).await
    }

    /// Withdrawals: one's own; staff see all.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn withdrawals(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<CashRequestEntry>> {
        cash(ctx, "withdrawals", TransferKind::Withdrawal, first, after).await
    }

    /// Pods and key nodes: those that are approved, and one's own; staff see all.
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn machines(
        &self,
        ctx: &Context<'_>,
        kind: Option<MachineRole>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<MachineEntry>> {
        let p = pass(ctx, Surface::Query, "machines")?;
        // ACC-6: what waits or was refused is its operator's and staff's.
        let seen_by = match p.viewer().sees_all() {
            true => None,
            false => Some(p.viewer().account().map_err(refuse(ctx))?),
        };
        let page = page(ctx, first, after)?;
        let found = service(ctx)?
            .store()
            .machines(kind.map(Into::into), seen_by, &page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Into::into))
    }

    /// Accounts, or those with a text in name or mail (staff).
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
        search: Option<String>,
    ) -> Result<List<Account>> {
        pass(ctx, Surface::Query, "accounts")?;
        let search = searched(ctx, search)?;
        let page = page(ctx, first, after)?;
        let found = service(ctx)?
            .store()
            .accounts(search.as_deref(), &page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), |a| {
            Account::new(a, Vec::new())
        }))
    }

    /// Every account of the ledger (staff).
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn ledger_accounts(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<LedgerAccountEntry>> {
        pass(ctx, Surface::Query, "ledgerAccounts")?;
        let page = page(ctx, first, after)?;
        let found = service(ctx)?
            .store()
            .ledger_accounts(&page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), |(a, b)| {
            LedgerAccountEntry {
                account: a.to_string(),
                balance: b.into(),
            }
        }))
    }

    /// Recomputes the whole ledger from its postings (staff).
    #[graphql(complexity = "200")]
    async fn ledger_check(&self, ctx: &Context<'_>) -> Result<LedgerCheck> {
        pass(ctx, Surface::Query, "ledgerCheck")?;
        match service(ctx)?.store().ledger_check().await {
            Ok(r) => Ok(LedgerCheck {
                balanced: true,
                accounts: r.accounts.to_string(),
                transfers: r.transfers.to_string(),
                failure: None,
            }),
            Err(DomainError::LedgerBroken { what }) => Ok(LedgerCheck {
                balanced: false,
                accounts: "0".into(),
                transfers: "0".into(),
                failure: Some(what),
            }),
            Err(e) => Err(refuse(ctx)(e)),
        }
    }

    /// Every transfer, newest first (staff).
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn ledger_transfers(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<TransferEntry>> {
        pass(ctx, Surface::Query, "ledgerTransfers")?;
        let page = page(ctx, first, after)?;
        let found = service(ctx)?
            .store()
            .transfers(None, &page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Into::into))
    }

    /// Approved key nodes with a sealing key: those that can be in a committee.
    #[graphql(complexity = "10 + 5 * child_complexity")]
    async fn key_nodes(&self, ctx: &Context<'_>) -> Result<Vec<KeyNode>> {
        let p = pass(ctx, Surface::Query, "keyNodes")?;
        service(ctx)?.key_nodes(&p).await.map_err(refuse(ctx))
    }

    /// The audit log, oldest first (staff).
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn audit(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<AuditEntry>> {
        pass(ctx, Surface::Query, "audit")?;
        let page = page(ctx, first, after)?;
        let found = service(ctx)?
            .store()
            .audit(&page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Into::into))
    }

    /// Checks the whole audit chain (staff).
    #[graphql(complexity = "200")]
    async fn audit_check(&self, ctx: &Context<'_>) -> Result<AuditCheck> {
        pass(ctx, Surface::Query, "auditCheck")?;
        match service(ctx)?.store().audit_check().await {
            Ok(head) => Ok(AuditCheck {
                intact: true,
                length: head.map_or(0, |(n, _)| n).to_string(),
                head: head.map(|(_, d)| d.to_string()),
                failure: None,
            }),
            Err(e @ DomainError::AuditBroken { .. }) => Ok(AuditCheck {
                intact: false,
                length: "0".into(),
                head: None,
                failure: Some(e.to_string()),
            }),
            Err(e) => Err(refuse(ctx)(e)),
        }
    }

    /// Listings that wait for review (staff).
    #[graphql(complexity = "first.unwrap_or(20) as usize * child_complexity / 2 + 1")]
    async fn review_queue(
        &self,
        ctx: &Context<'_>,
        first: Option<u32>,
        after: Option<String>,
    ) -> Result<List<Listing>> {
        pass(ctx, Surface::Query, "reviewQueue")?;
        let page = page(ctx, first, after)?;
        let filter = ListingFilter {
            states: vec!["submitted".into()],
            ..ListingFilter::default()
        };
        let found = service(ctx)?
            .store()
            .listings(&filter, &page)
            .await
            .map_err(refuse(ctx))?;
        Ok(list(found, page.after.is_some(), Listing))
    }
}

async fn cash(
    ctx: &Context<'_>,
    name: &str,
    kind: TransferKind,
    first: Option<u32>,
    after: Option<String>,
) -> Result<List<CashRequestEntry>> {
    let p = pass(ctx, Surface::Query, name)?;
    let account = match p.viewer() {
        v if v.sees_all() => None,
        Viewer::Account { id, .. } => Some(*id),
        _ => return Err(refuse(ctx)(DomainError::Unauthenticated)),
    };
    let page = page(ctx, first, after)?;
    let found = service(ctx)?
        .store()
        .cash_requests(kind, account, &page)
        .await
        .map_err(refuse(ctx))?;
    Ok(list(found, page.after.is_some(), Into::into))
}
