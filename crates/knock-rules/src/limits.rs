//! How large a rule's text may be. A config is trusted, but a typing slip in one must not end the
//! daemon with an overflowing stack. The state variable's limits are in `memory.rs`.

/// Longest expression, in bytes.
pub const MAX_EXPRESSION: usize = 16 * 1024;
/// Deepest nesting of an expression: of parentheses as of operators.
pub const MAX_DEPTH: usize = 100;
/// Longest template, in bytes.
pub const MAX_TEMPLATE: usize = 64 * 1024;
/// Longest text that an expression may put together, in bytes.
pub const MAX_COMPUTED: usize = 64 * 1024;
/// Memory that one regular expression may take when compiled, in bytes.
pub const MAX_PATTERN: usize = 1024 * 1024;
