//! The client that knocks. Crafts no packets: ordinary connections from the system's own stack.

#![forbid(unsafe_code)]
