//! Words that documents and the market's decisions share.

use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[doc = $doc:literal])+ $(#[$more:meta])* $name:ident { $($(#[doc = $vd:literal])+ $variant:ident $text:literal),* $(,)? })*) => {$(
        $(#[doc = $doc])+
        $(#[$more])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[doc = $vd])+ #[serde(rename = $text)] $variant),* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
            /// The name in documents.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }
    )*};
}

names! {
    /// How results are opened.
    Custody {
        /// The custodian's key node opens; the custodian learns the result.
        CustodianHeld "custodian_held",
        /// Any t of n key nodes open; only the buyer learns the result.
        Committee "committee",
    }
    /// How sure an evaluation is; greater is surer.
    EvaluationClass {
        /// Re-executed elsewhere, not proven.
        Replicated "replicated",
        /// Every homomorphic step is covered by proofs.
        Proven "proven",
    }
    /// What a query releases, and how its weights are held (DOC-3).
    QueryKind {
        /// Traced aggregates, weights in the clear.
        AggregatePublic "aggregate_public",
        /// Traced aggregates, weights hidden.
        AggregatePrivate "aggregate_private",
        /// A value for each row, weights in the clear.
        RowsPublic "rows_public",
        /// A value for each row, weights hidden.
        RowsPrivate "rows_private",
    }
}
