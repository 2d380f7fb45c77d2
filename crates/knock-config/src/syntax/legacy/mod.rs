//! The syntax of Perl's Config::General, which the original used: first lines, then blocks.
//!
//! It is read as that module (2.65) reads it, with its oddities, because old files depend on some of them. Where it
//! lost something in silence, the same is lost here, with a warning.

mod blocks;
mod comments;
mod heredoc;
mod include;
mod lines;
mod spelt;

use std::sync::Arc;

use crate::place::SourceFile;
use crate::problem::Problem;
use crate::syntax::remarks::Remarks;
use crate::tree::Table;

/// Reads a file and what it includes.
pub(super) fn parse(file: &Arc<SourceFile>) -> (Table, Remarks, Vec<Problem>) {
    let (lines, mut problems) = lines::collect(file);
    let (root, remarks) = blocks::build(file, lines, &mut problems);
    (root, remarks, problems)
}
