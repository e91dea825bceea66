//! Who we are.

/// Who this host is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The machine id, 32 hexadecimal digits (machine-id(5)).
    pub machine_id: String,
    /// Its name, for people.
    pub name: String,
}

impl Host {
    /// This host, by `/etc/machine-id` and its name.
    ///
    /// # Errors
    /// Where there is no machine id.
    pub fn this() -> std::io::Result<Self> {
        todo!()
    }
}
