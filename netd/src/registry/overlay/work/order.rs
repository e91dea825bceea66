//! What the thread is told, and where it works.

use std::sync::{Arc, mpsc};

use drivers::overlay::{Remote, Underlay};
use kernel::{Netns, Pins};

use crate::dns;
use crate::network::Network;
use crate::registry::overlay::encryption::Encryption;
use crate::registry::overlay::troubles::Troubles;

/// What the thread is told.
#[derive(Debug)]
pub(in crate::registry::overlay) enum Order {
    /// This is below from now on.
    Underlay(Underlay),
    /// These are all on other hosts.
    Remotes(Vec<Remote>),
    /// What lets frames in may differ.
    Rules,
    /// What encrypts them may differ.
    Encryption,
    /// Who sends packets that are too large may be gone.
    Sizes,
    /// Everything is to be looked at.
    Settle(mpsc::Sender<Result<(), String>>),
    /// The end of the network on this host.
    End(mpsc::Sender<Result<(), String>>),
    /// The end of the thread alone.
    Leave,
}

/// Which network, and where.
#[derive(Debug)]
pub(in crate::registry::overlay) struct Place {
    pub(in crate::registry::overlay) network: Network,
    /// What its namespace is called.
    pub(in crate::registry::overlay) name: String,
    pub(in crate::registry::overlay) pins: Pins,
    pub(in crate::registry::overlay) netns: Netns,
    /// Who answers containers in it.
    pub(in crate::registry::overlay) dns: Arc<dns::Server>,
    /// Where it is told what is wrong.
    pub(in crate::registry::overlay) troubles: Troubles,
    /// What encrypts, where the network is to be.
    pub(in crate::registry::overlay) encryption: Encryption,
}
