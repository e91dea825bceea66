//! `netd completion` and `netd man`: the command line for shells and for readers, from what it is read by.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Arg, ArgAction};
use clap_complete::Shell;

use super::output;
use crate::config::options;

/// Arguments of `netd completion`.
#[derive(Debug, clap::Args)]
pub(super) struct CompletionArgs {
    /// For which shell
    shell: Shell,
}

/// Arguments of `netd man`.
#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Where to write a page for each command, netd.1 and netd-network-create.1 and so on; without it
    /// the page of netd is printed
    dir: Option<PathBuf>,
}

/// Prints the script that a shell reads.
///
/// # Errors
/// Where stdout takes nothing more.
pub(super) fn completion(args: &CompletionArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut whole(), "netd", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}

/// Writes manual pages.
///
/// # Errors
/// Where the directory or a file in it cannot be written.
pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let Some(dir) = &args.dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(whole()).render(&mut page)?;
        output::print(&String::from_utf8_lossy(&page))?;
        return Ok(ExitCode::SUCCESS);
    };
    let written = std::fs::create_dir_all(dir)
        .and_then(|()| clap_mangen::generate_to(whole().disable_help_subcommand(true), dir));
    written.with_context(|| format!("write manual pages to {}", dir.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// The command line with the options of `netd run`, which are read by flanneld's rules and not by clap.
fn whole() -> clap::Command {
    let about = "Run the agent: lease a subnet and connect it with all others";
    let run = clap::Command::new("run").about(about).disable_help_flag(true);
    let option = |(name, value, help): options::Shown| {
        let arg = Arg::new(name).long(name).help(help);
        match value {
            "" => arg.action(ArgAction::SetTrue),
            word => arg.value_name(word).action(ArgAction::Append),
        }
    };
    let run = run.disable_version_flag(true).args(options::shown().map(option));
    super::command().mut_subcommand("run", |_| run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_and_option_is_completed_in_every_shell() {
        whole().debug_assert();
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut whole(), "netd", &mut script);
            let script = String::from_utf8(script).unwrap();
            for word in ["gw-priority", "disconnect", "etcd-prefix", "standalone", "subnet-env"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }

    #[test]
    fn every_command_has_a_page_with_its_options() {
        let dir = tempfile::tempdir().unwrap();
        let pages = dir.path().join("man1");
        man(&ManArgs { dir: Some(pages.clone()) }).unwrap();
        let read = |name: &str| std::fs::read_to_string(pages.join(name)).unwrap();
        assert!(read("netd-run.1").contains("etcd\\-prefix"), "{}", read("netd-run.1"));
        assert!(read("netd-network-connect.1").contains("gw\\-priority"));
        assert!(read("netd.1").contains("netd\\-ps(1)"), "{}", read("netd.1"));
    }
}
