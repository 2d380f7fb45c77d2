//! That the model and the table of keys agree.
