//! What a custodian and a buyer run: encrypt, list, quote, order, open, verify.
