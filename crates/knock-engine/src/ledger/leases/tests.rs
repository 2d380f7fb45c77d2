//! Leases as the book keeps them.
