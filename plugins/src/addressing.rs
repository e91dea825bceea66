//! Addresses from an IPAM plugin: in this process where it is our own, else by running it.

use cni::skel::Plugin;
use cni::{AddResult, Error, Request, delegate};

use crate::{program, registry};

/// The IPAM plugin of a request; none where the configuration has no `ipam.type`.
pub(crate) enum Ipam<'r> {
    /// No addresses.
    None,
    /// This program under another name.
    Own(&'r Request, &'static (dyn Plugin + Sync)),
    /// Another program.
    Foreign(&'r Request),
}

impl<'r> Ipam<'r> {
    /// Finds the plugin that `ipam.type` names in CNI_PATH.
    ///
    /// # Errors
    /// It is not there.
    pub(crate) fn of(request: &'r Request) -> Result<Self, Error> {
        let name = request.conf.ipam.plugin_type.as_str();
        if name.is_empty() {
            return Ok(Self::None);
        }
        let path = delegate::find(name, &request.path)?;
        match registry::find(name) {
            Some(plugin) if program::is_this(&path) => Ok(Self::Own(request, plugin)),
            _ => Ok(Self::Foreign(request)),
        }
    }

    /// Whether there is any.
    pub(crate) fn is_some(&self) -> bool {
        !matches!(self, Self::None)
    }

    /// Reserves addresses. An answer without addresses is an error, and released.
    pub(crate) fn add(&self) -> Result<Option<AddResult>, Error> {
        let result = match self {
            Self::None => return Ok(None),
            Self::Own(request, plugin) => plugin.add(request)?,
            Self::Foreign(request) => delegate::add(request, type_of(request))?,
        };
        if result.ips.is_empty() {
            return Err(self.undo(self.no_address()));
        }
        Ok(Some(result))
    }

    /// Of this program's plugins it is the configuration that gives no address; of another program
    /// nobody knows.
    fn no_address(&self) -> Error {
        let text = |request| {
            let name = type_of(request);
            format!("IPAM plugin returned missing IP config: ipam.type {name:?} gave no address")
        };
        match self {
            Self::None => Error::internal("no IPAM plugin"),
            Self::Own(request, _) => Error::config(format!(
                "{}: set \"addresses\", or ask for one by runtimeConfig.ips or CNI_ARGS IP",
                text(request)
            )),
            Self::Foreign(request) => Error::internal(text(request)),
        }
    }

    /// Releases the addresses; they may be released already.
    pub(crate) fn del(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Own(request, plugin) => plugin.del(request),
            Self::Foreign(request) => delegate::del(request, type_of(request)),
        }
    }

    /// Whether the addresses are still reserved.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Own(request, plugin) => plugin.check(request),
            Self::Foreign(request) => delegate::check(request, type_of(request)),
        }
    }

    /// Releases all that is not in the list of valid attachments.
    pub(crate) fn gc(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Own(request, plugin) => plugin.gc(request),
            Self::Foreign(request) => delegate::gc(request, type_of(request)),
        }
    }

    /// Whether an address could be had.
    pub(crate) fn status(&self) -> Result<(), Error> {
        match self {
            Self::None => Ok(()),
            Self::Own(request, plugin) => plugin.status(request),
            Self::Foreign(request) => delegate::status(request, type_of(request)),
        }
    }

    /// Releases the addresses because of an error, and says so in it where that fails too.
    pub(crate) fn undo(&self, error: Error) -> Error {
        match self.del() {
            Ok(()) => error,
            Err(undo) => error.with_details(format!("the addresses stay reserved: {undo}")),
        }
    }
}

fn type_of(request: &Request) -> &str {
    &request.conf.ipam.plugin_type
}
