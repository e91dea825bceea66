//! `netd subnet-env`: the host's subnet for scripts, and for Docker in the way of flannel's
//! `mk-docker-opts.sh`, whose options mean the same here.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use netd_api::file::{self, Modes};
use netd_api::{SubnetEnv, subnet_env};

use super::output;

/// Readable by all, as the shell would make it.
const MODES: Modes = Modes { file: 0o644, dir: 0o755 };

/// Arguments of `netd subnet-env`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file that netd or flanneld writes
    #[arg(short = 'f', long, value_name = "FILE", default_value = subnet_env::PATH)]
    file: PathBuf,
    /// Print options for dockerd, as variables for an EnvironmentFile of systemd
    #[arg(long)]
    docker_opts: bool,
    #[command(flatten)]
    docker: Docker,
}

/// The options of `mk-docker-opts.sh`.
#[derive(Debug, clap::Args)]
struct Docker {
    /// Print each option as a variable of its own [default: with -c]
    #[arg(short = 'i', long, requires = "docker_opts")]
    individual: bool,
    /// Print all options in one variable [default: with -i]
    #[arg(short = 'c', long, requires = "docker_opts")]
    combined: bool,
    /// Leave out --ip-masq
    #[arg(short = 'm', long, requires = "docker_opts")]
    no_ip_masq: bool,
    /// The name of the one variable
    #[arg(short = 'k', long, requires = "docker_opts", value_name = "KEY", value_parser = variable,
          default_value = "DOCKER_OPTS")]
    key: String,
    /// Write to a file, as a whole, instead of stdout
    #[arg(short = 'd', long, requires = "docker_opts", value_name = "FILE")]
    docker_file: Option<PathBuf>,
}

/// Prints the file, or what Docker is to be told of it.
///
/// # Errors
/// It is not there, or is none; the output cannot be written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let env = SubnetEnv::read(&args.file).map_err(|error| {
        let missing = error.is_missing();
        let error = anyhow::Error::new(error);
        if missing {
            return error.context("no subnet yet: netd or flanneld must have a lease first");
        }
        error
    })?;
    if !args.docker_opts {
        output::print(&env.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let text = args.docker.text(&env);
    match &args.docker.docker_file {
        None => output::print(&text)?,
        Some(path) => file::replace(path, text.as_bytes(), MODES)
            .with_context(|| format!("write {}", path.display()))?,
    }
    Ok(ExitCode::SUCCESS)
}

impl Docker {
    /// Lines of `NAME="VALUE"`, in the order of names.
    fn text(&self, env: &SubnetEnv) -> String {
        let options = self.options(env);
        let both = self.individual == self.combined;
        let mut text = String::new();
        if self.individual || both {
            for (name, option) in &options {
                text.push_str(&format!("{name}=\"{option}\"\n"));
            }
        }
        if self.combined || both {
            let all: String = options.iter().map(|(_, option)| format!(" {option}")).collect();
            text.push_str(&format!("{}=\"{all}\"\n", self.key));
        }
        text
    }

    fn options(&self, env: &SubnetEnv) -> Vec<(&'static str, String)> {
        let mut options = Vec::new();
        options.extend(env.subnet.map(|subnet| ("DOCKER_OPT_BIP", format!("--bip={subnet}"))));
        if !self.no_ip_masq {
            // One of the two masquerades: where the agent does not, Docker has to.
            options.push(("DOCKER_OPT_IPMASQ", format!("--ip-masq={}", !env.ip_masq)));
        }
        options.push(("DOCKER_OPT_MTU", format!("--mtu={}", env.mtu)));
        options
    }
}

/// A name that a shell and systemd take for a variable.
fn variable(text: &str) -> Result<String, String> {
    let starts_right = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_right && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(text.to_owned());
    }
    Err("letters, digits and _ make a variable's name, and the first is no digit".to_owned())
}

#[cfg(test)]
mod tests;
