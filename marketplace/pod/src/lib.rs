//! The compute pod: lease, evaluate, prove, submit.
