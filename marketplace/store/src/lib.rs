//! sea-orm repositories, named transactions, leases, ledger postings, object storage.
