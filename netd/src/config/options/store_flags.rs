//! The options that say where the store and the agent are, as flags of commands that are no agent.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use clap::error::Error as Usage;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use super::flags::CommandLine;
use super::networks::Named;
use super::table::{self, OptionRow, Value};
use super::{OptionsError, gather};
use crate::config::store::StoreOptions;

/// The file of options.
const CONFIG: &str = "config";
/// Which network.
const NETWORK: &str = "network-name";

/// Flags of a command that talks to the store: `--config`, and the rows of the table that say
/// where the store is.
pub type StoreFlags = Flags<OfStore>;

/// Flags of a command that talks to the agent: `--config` and `--run-dir`.
pub type RunDirFlags = Flags<OfAgent>;

/// Which rows of the table a command takes.
pub trait Rows {
    /// Whether it takes that of this name.
    fn has(name: &str) -> bool;
}

/// Those that say where the store is.
#[derive(Debug)]
pub enum OfStore {}

/// That which says where the agent's sockets are.
#[derive(Debug)]
pub enum OfAgent {}

impl Rows for OfStore {
    fn has(name: &str) -> bool {
        name.starts_with("etcd-")
    }
}

impl Rows for OfAgent {
    fn has(name: &str) -> bool {
        name == "run-dir"
    }
}

/// Some rows of the table as flags, `--config`, and which of several networks is meant.
pub struct Flags<R> {
    line: CommandLine,
    network: Option<String>,
    rows: PhantomData<R>,
}

impl StoreFlags {
    /// Reads the file and the environment, too, in the order of `netd run`.
    ///
    /// # Errors
    /// [`OptionsError`] at the first option that makes no sense, also where it is not the store's:
    /// one file and one environment serve agent and commands. Where these name several networks, one
    /// must be chosen.
    pub fn read(&self, env: &BTreeMap<String, String>) -> Result<StoreOptions, OptionsError> {
        let options = gather(&self.line, env)?;
        let names = || {
            let names: Vec<&str> = options.networks.iter().map(|one| one.name.as_str()).collect();
            names.join(", ")
        };
        match &self.network {
            None if options.networks.is_empty() => Ok(options.store),
            None => Err(OptionsError::Usage(format!(
                "which network? choose one of {} with --network",
                names()
            ))),
            Some(name) => match options.networks.iter().find(|one| one.name == *name) {
                Some(network) => Ok(network.store(&options.store)),
                None if options.networks.is_empty() => {
                    let network = Named::read(name).map_err(OptionsError::Usage)?;
                    Ok(network.store(&options.store))
                }
                None => Err(OptionsError::Usage(format!(
                    "there is no network {name} in --networks: choose one of {}",
                    names()
                ))),
            },
        }
    }
}

impl RunDirFlags {
    /// The directory of the agent's sockets, by all places as [`StoreFlags::read`] has it.
    ///
    /// # Errors
    /// As [`StoreFlags::read`].
    pub fn read(&self, env: &BTreeMap<String, String>) -> Result<PathBuf, OptionsError> {
        gather(&self.line, env).map(|options| options.run_dir)
    }
}

impl<R> Default for Flags<R> {
    fn default() -> Self {
        Self { line: CommandLine::default(), network: None, rows: PhantomData }
    }
}

impl<R> fmt::Debug for Flags<R> {
    /// The options that were given; one of them may be a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.line.given.iter().map(|(name, _)| name)).finish()
    }
}

impl<R: Rows> Args for Flags<R> {
    fn augment_args(command: Command) -> Command {
        let file = flag(CONFIG, "FILE", "a TOML file of options");
        let network = R::has("etcd-prefix").then(|| {
            let help = "which of several networks: its keys are below PREFIX/NAME";
            flag(NETWORK, "NAME", help).long("network")
        });
        let of_table = rows::<R>().map(|(row, word)| flag(row.name, word, row.help));
        command.arg(file).args(of_table).args(network)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<R: Rows> FromArgMatches for Flags<R> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Usage> {
        let mut flags = Self::default();
        flags.update_from_arg_matches(matches)?;
        Ok(flags)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Usage> {
        let value = |name: &str| matches.get_one::<String>(name).cloned();
        let given = rows::<R>().filter_map(|(row, _)| Some((row.name, value(row.name)?)));
        self.line = CommandLine { given: given.collect(), config: value(CONFIG), request: None };
        self.network = R::has("etcd-prefix").then(|| value(NETWORK)).flatten();
        Ok(())
    }
}

/// The rows of a command, with the word for their value.
fn rows<R: Rows>() -> impl Iterator<Item = (&'static OptionRow, &'static str)> {
    table::OPTIONS.iter().filter(|row| R::has(row.name)).filter_map(|row| match row.value {
        Value::One(word) | Value::List(word) => Some((row, word)),
        Value::Switch | Value::Many(_) | Value::Refused => None,
    })
}

fn flag(name: &'static str, word: &'static str, help: &'static str) -> Arg {
    let mut letters = help.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    let help: String = first.into_iter().chain(letters).collect();
    Arg::new(name).long(name).value_name(word).help(help)
}
