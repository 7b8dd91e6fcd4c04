//! Folded stacks, a line each, as the scripts of flame graphs take them: `name;main;f;g 17`.

use super::sums::Sums;
use crate::Result;
use std::io::Write;

/// Writes them, the number being how many times a stack was taken.
///
/// # Errors
/// If `out` cannot take it.
pub fn folded(sums: &Sums, mut out: impl Write) -> Result<()> {
    for stack in &sums.stacks {
        writeln!(out, "{} {}", stack.frames, stack.count)?;
    }
    Ok(())
}
