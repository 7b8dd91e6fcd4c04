//! One integration binary: the built `osd` against real processes, known recordings and bad input.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "tests")]

mod analyze;
mod attach_modes;
mod bad_input;
mod bounded;
mod budget;
mod care;
mod commands;
mod compat;
mod crash;
mod damage;
mod endings;
mod eval;
mod export;
mod honesty;
mod host;
mod hostile;
mod import;
mod imports;
mod inputs;
mod interop;
mod live;
mod losses;
mod operators;
mod otlp;
mod outputs;
mod overflow;
mod postgres;
mod prometheus;
mod record;
mod report;
mod score;
mod scrape;
mod script;
mod sentences;
mod short_lives;
mod sql;
mod stdout;
mod structure;
mod support;
mod trace;
mod train;
