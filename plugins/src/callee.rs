//! A plugin that another one calls: in this process where it is our own, else by running it.

use std::path::PathBuf;

use cni::skel::Plugin;
use cni::{AddResult, Error, Request, delegate};

use crate::{program, registry};

/// Whom to call.
pub(crate) enum Callee {
    /// This program under another name.
    Own(&'static (dyn Plugin + Sync)),
    /// Another program, of this name.
    Foreign(String),
}

impl Callee {
    /// Finds the plugin of a name in the directories of CNI_PATH.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) fn find(name: &str, dirs: &[PathBuf]) -> Result<Self, Error> {
        let path = delegate::find(name, dirs)?;
        Ok(match registry::find(name) {
            Some(plugin) if program::is_this(&path) => Self::Own(plugin),
            _ => Self::Foreign(name.to_owned()),
        })
    }

    /// ADD, with the request's configuration.
    pub(crate) fn add(&self, request: &Request) -> Result<AddResult, Error> {
        match self {
            Self::Own(plugin) => plugin.add(request),
            Self::Foreign(name) => delegate::add(request, name),
        }
    }

    /// DEL.
    pub(crate) fn del(&self, request: &Request) -> Result<(), Error> {
        match self {
            Self::Own(plugin) => plugin.del(request),
            Self::Foreign(name) => delegate::del(request, name),
        }
    }

    /// CHECK.
    pub(crate) fn check(&self, request: &Request) -> Result<(), Error> {
        match self {
            Self::Own(plugin) => plugin.check(request),
            Self::Foreign(name) => delegate::check(request, name),
        }
    }

    /// GC.
    pub(crate) fn gc(&self, request: &Request) -> Result<(), Error> {
        match self {
            Self::Own(plugin) => plugin.gc(request),
            Self::Foreign(name) => delegate::gc(request, name),
        }
    }

    /// STATUS.
    pub(crate) fn status(&self, request: &Request) -> Result<(), Error> {
        match self {
            Self::Own(plugin) => plugin.status(request),
            Self::Foreign(name) => delegate::status(request, name),
        }
    }
}
