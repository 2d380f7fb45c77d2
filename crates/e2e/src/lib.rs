//! The harness of the end-to-end tests: namespaces, firewalls, services, programs.

#![forbid(unsafe_code)]
