//! What is done to the world: orders are run, and the ledger is kept on disk.
//!
//! Decides nothing: which order runs when is the engine's business.

#![forbid(unsafe_code)]
