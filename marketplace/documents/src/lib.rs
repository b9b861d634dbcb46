//! Order, grant, policy, listing manifest and receipt: canonical forms and signatures.
