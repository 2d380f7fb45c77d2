//! Where lines come from: a file that rotates, stdin, the kernel's own log.
//!
//! Knows nothing of knocks or formats: it hands over blocks of whole lines.
