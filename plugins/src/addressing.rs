//! Addresses from an IPAM plugin.

use cni::{AddResult, Error, Request};

use crate::callee::Callee;

/// Those of this program's plugins that give addresses.
const OWN: [&str; 2] = ["host-local", "static"];

/// The IPAM plugin of a request; none where the configuration has no `ipam.type`.
pub(crate) struct Ipam<'r> {
    request: &'r Request,
    callee: Option<Callee>,
}

impl<'r> Ipam<'r> {
    /// Finds the plugin that `ipam.type` names in CNI_PATH.
    ///
    /// # Errors
    /// It is not there, or is one of this program's that makes interfaces: `bridge` as its own IPAM
    /// plugin would call itself for ever.
    pub(crate) fn of(request: &'r Request) -> Result<Self, Error> {
        let name = request.conf.ipam.plugin_type.as_str();
        let callee = if name.is_empty() { None } else { Some(Callee::find(name, &request.path)?) };
        if matches!(callee, Some(Callee::Own(_))) && !OWN.contains(&name) {
            return Err(Error::config(format!(
                "ipam.type: {name:?} gives no addresses: use \"host-local\" or \"static\""
            )));
        }
        Ok(Self { request, callee })
    }

    /// Whether there is any.
    pub(crate) fn is_some(&self) -> bool {
        self.callee.is_some()
    }

    /// Reserves addresses. An answer without addresses is an error, and released.
    pub(crate) fn add(&self) -> Result<Option<AddResult>, Error> {
        let Some(callee) = &self.callee else { return Ok(None) };
        let result = callee.add(self.request)?;
        if result.ips.is_empty() {
            return Err(self.undo(self.no_address()));
        }
        Ok(Some(result))
    }

    /// Of this program's plugins it is the configuration that gives no address; of another program
    /// nobody knows.
    fn no_address(&self) -> Error {
        let kind = &self.request.conf.ipam.plugin_type;
        let text =
            format!("IPAM plugin returned missing IP config: ipam.type {kind:?} gave no address");
        match self.callee {
            Some(Callee::Own(_)) => Error::config(format!(
                "{text}: set \"addresses\", or ask for one by runtimeConfig.ips or CNI_ARGS IP"
            )),
            Some(Callee::Foreign(_)) | None => Error::internal(text),
        }
    }

    /// Releases the addresses; they may be released already.
    pub(crate) fn del(&self) -> Result<(), Error> {
        self.callee.as_ref().map_or(Ok(()), |callee| callee.del(self.request))
    }

    /// Whether the addresses are still reserved.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.callee.as_ref().map_or(Ok(()), |callee| callee.check(self.request))
    }

    /// Releases all that is not in the list of valid attachments.
    pub(crate) fn gc(&self) -> Result<(), Error> {
        self.callee.as_ref().map_or(Ok(()), |callee| callee.gc(self.request))
    }

    /// Whether an address could be had.
    pub(crate) fn status(&self) -> Result<(), Error> {
        self.callee.as_ref().map_or(Ok(()), |callee| callee.status(self.request))
    }

    /// Releases the addresses because of an error, and says so in it where that fails too.
    pub(crate) fn undo(&self, error: Error) -> Error {
        match self.del() {
            Ok(()) => error,
            Err(undo) => error.with_details(format!("the addresses stay reserved: {undo}")),
        }
    }
}
