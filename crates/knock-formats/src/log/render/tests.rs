//! Lines written for formats, and read back by them.
