//! Identifiers, money, roles and the one policy table; listing, order, job and ledger states; ports.
