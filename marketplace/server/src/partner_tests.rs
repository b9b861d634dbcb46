//! Partners over HTTP (PAR).
