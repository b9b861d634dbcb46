//! What a verified receipt shows, for people and as JSON (REC-2, REC-3).

use crate::{Trust, terminal::printable};
use serde_json::{Value, json};
use veilbourse_core::digest::Digest;
use veilbourse_documents::{
    Arrow, Binding, Custody, Demand, Key, Receipt, Signed, SrsProvenance, arrows,
};
use veilbourse_verifier::ceremony::Transcript;

/// One line: what, and how it is backed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line {
    /// The arrow.
    pub arrow: Arrow,
    /// How it is backed, given what the reader knows.
    pub binding: Binding,
}

/// A verified receipt.
#[derive(Debug, Clone)]
pub struct Report {
    /// Who signed.
    pub marketplace: Digest,
    /// Whether the reader expected that marketplace.
    pub marketplace_expected: bool,
    /// The custodian's, the buyer's and the key nodes' keys: who they belong to
    /// is for the reader to know.
    pub keys: Vec<(&'static str, Key)>,
    /// Who opened: `custodian-attested` or `committee-attested`.
    pub decryption: &'static str,
    /// Of a committee: the law of the noise in what was opened, for people.
    pub noise: Option<String>,
    /// Whether a result's files were held to the receipt (REC-5).
    pub result_checked: bool,
    /// The dataset root.
    pub dataset: Digest,
    /// The dataset's name.
    pub name: String,
    /// The order's digest is bound in every proof; this is its id.
    pub order_id: String,
    /// Values opened.
    pub values: u64,
    /// Bits that they can hold.
    pub bits: u64,
    /// Outputs proven.
    pub outputs: usize,
    /// Provenance of the reference string: `dev`, or `ceremony` with its
    /// transcript and the number of contributors.
    pub srs: String,
    /// Who contributed to the ceremony, by name and key, in order.
    pub contributors: Vec<(String, Key)>,
    /// Minor units paid.
    pub price: i64,
    /// The arrows.
    pub lines: Vec<Line>,
}

pub(crate) fn of(
    receipt: &Signed<Receipt>,
    id: &Digest,
    demand: &Demand,
    ceremony: Option<&Transcript>,
    trust: &Trust<'_>,
) -> Report {
    let body = &receipt.body;
    let keys_recomputed = trust.circuits.is_some();
    let provenance = body.assurance.srs;
    let custody = body.order.body.openers.custody();
    let lines = arrows(&body.order.body.program, custody)
        .into_iter()
        .map(|mut arrow| {
            if arrow.is_about_trapdoor() {
                arrow.bound_by = backing(provenance);
            }
            let recomputed = keys_recomputed && arrow.is_about_keys();
            let binding = if recomputed {
                Binding::Proven
            } else {
                arrow.binding
            };
            Line { arrow, binding }
        })
        .collect();
    let needs_srs = !body.verifying_keys.is_empty();
    Report {
        marketplace: *id,
        marketplace_expected: trust.marketplace.is_some(),
        keys: [("custodian", body.policy.key), ("buyer", body.order.key)]
            .into_iter()
            .chain(body.deliveries.iter().map(|d| ("key node", d.key)))
            .collect(),
        decryption: match custody {
            Custody::CustodianHeld => "custodian-attested",
            Custody::Committee => "committee-attested",
        },
        noise: noise(body),
        result_checked: false,
        dataset: body.order.body.dataset,
        name: body.manifest.name.clone(),
        order_id: body.settlement.order_id.to_string(),
        values: demand.values,
        bits: demand.bits,
        outputs: body.outputs.len(),
        srs: if needs_srs {
            provenance.to_string()
        } else {
            "none needed".into()
        },
        contributors: ceremony
            .filter(|_| needs_srs)
            .map(|t| t.contributions().iter().map(|c| &c.statement))
            .into_iter()
            .flatten()
            .map(|s| (s.name.clone(), Key(s.key)))
            .collect(),
        price: body.settlement.price.total,
        lines,
    }
}

/// The class of the tickets, and its noise.
fn noise(body: &Receipt) -> Option<String> {
    let tickets = body.policy.body.tickets.as_ref()?;
    let (terms, class) = tickets.class(body.order.body.ticket_class.as_ref()?)?;
    let name = &terms.name;
    let bound = class.mechanism().noise_bound();
    Some(match class.noisy() {
        false => format!("class {name:?}, without noise"),
        true => format!("class {name:?}, noise of at most {bound} in each integer"),
    })
}

/// What the trapdoor's being unknown rests on.
fn backing(provenance: SrsProvenance) -> &'static str {
    match provenance {
        SrsProvenance::Dev => "its provenance: dev, made on one machine",
        SrsProvenance::Ceremony { .. } => {
            "its ceremony, checked here: one contributor who destroyed its secret suffices"
        }
    }
}

impl Report {
    /// The arrows of one binding.
    pub fn of_binding(&self, binding: Binding) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(move |l| l.binding == binding)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut out = format!(
            "receipt of order {}\n  marketplace  {}{}\n  dataset      {} ({})\n  outputs      {} proven, {} values opened ({} bits at most)\n  paid         {}.{:02} credits\n  evaluation: proven   decryption: {}   srs: {}\n",
            self.order_id,
            self.marketplace,
            if self.marketplace_expected {
                ""
            } else {
                "  (whoever holds this key; none was expected)"
            },
            self.dataset,
            printable(&self.name),
            self.outputs,
            self.values,
            self.bits,
            self.price / 100,
            self.price % 100,
            self.decryption,
            self.srs,
        );
        if let Some(noise) = &self.noise {
            out.push_str(&format!("  tickets      {}\n", printable(noise)));
        }
        if self.result_checked {
            out.push_str("  result       the files given are what the key nodes signed\n");
        }
        for (who, key) in &self.keys {
            out.push_str(&format!("  {who:<11}  {key}\n"));
        }
        for ((name, key), number) in self.contributors.iter().zip(1u32..) {
            let name = printable(name);
            out.push_str(&format!("  SRS, part {number:<2} {key}  {name}\n"));
        }
        for (binding, title) in [
            (Binding::Proven, "Proven (checked here)"),
            (Binding::Attested, "Attested (signatures checked here)"),
            (Binding::Assumed, "Assumed (nothing here shows it)"),
        ] {
            out.push_str(&format!("\n{title}\n"));
            for l in self.of_binding(binding) {
                let a = l.arrow;
                out.push_str(&format!(
                    "  {} -> {}: {}\n      by {}\n",
                    a.from, a.to, a.what, a.bound_by
                ));
            }
        }
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let list = |b: Binding| -> Vec<&str> { self.of_binding(b).map(|l| l.arrow.what).collect() };
        let of = |role: &str| -> Vec<String> {
            let keys = self.keys.iter().filter(|(r, _)| *r == role);
            keys.map(|(_, k)| k.to_string()).collect()
        };
        json!({
            "valid": true,
            "order": self.order_id,
            "marketplace": self.marketplace.to_string(),
            "marketplace_expected": self.marketplace_expected,
            "custodian_key": of("custodian").first(),
            "buyer_key": of("buyer").first(),
            "node_keys": of("key node"),
            "dataset": self.dataset.to_string(),
            "name": self.name,
            "outputs": self.outputs,
            "values": self.values,
            "evaluation": "proven",
            "decryption": self.decryption,
            "tickets": self.noise,
            "result_checked": self.result_checked,
            "srs": self.srs,
            "srs_contributors": self.contributors.iter().map(|(name, key)| json!({
                "name": name, "key": key.to_string(),
            })).collect::<Vec<_>>(),
            "price": self.price.to_string(),
            "proven": list(Binding::Proven),
            "attested": list(Binding::Attested),
            "assumed": list(Binding::Assumed),
        })
    }
}
