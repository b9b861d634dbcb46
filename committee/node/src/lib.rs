//! The key node: its gate, durable reveal counter, sealing of results.
