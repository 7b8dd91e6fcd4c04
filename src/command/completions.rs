//! `osd completions`: what a shell needs to complete osd's arguments, from the same definitions as
//! `--help`.

use crate::failure::Result;
use crate::output::Output;
use std::process::ExitCode;

const EXAMPLES: &str = "EXAMPLES:
  osd completions bash > ~/.local/share/bash-completion/completions/osd
  osd completions zsh > ~/.zfunc/_osd             with ~/.zfunc in $fpath
  osd completions fish > ~/.config/fish/completions/osd.fish";

/// Print the completion script of a shell.
#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Which shell.
    shell: Shell,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

pub(crate) fn run(args: Args, osd: &mut clap::Command) -> Result<ExitCode> {
    use clap_complete::{Shell as Of, generate};
    let shell = match args.shell {
        Shell::Bash => Of::Bash,
        Shell::Zsh => Of::Zsh,
        Shell::Fish => Of::Fish,
    };
    let mut script = Vec::new();
    generate(shell, osd, "osd", &mut script);
    let mut out = Output::stdout();
    out.data(&String::from_utf8_lossy(&script))?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}
