//! What the loop works on.

use std::fmt::Debug;
use std::net::IpAddr;

use attach::forward;
use cni::ErrorChain;
use drivers::traffic;
use ipnetwork::IpNetwork;
use kernel::Kernel;
use netstate::{Datapath, Ns, Observed, Plan, Report, Scope};

/// The chain of iptables that is the administrator's, as plugin `firewall` has it.
const ADMIN_CHAIN: &str = "CNI-ADMIN";

/// A host whose network state the loop keeps: the kernel's, or that of a simulation in tests of many
/// hosts. An error is the sentence that is shown to the administrator.
pub trait Host: Debug + Send {
    /// Reads what is in the scope.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn observe(&mut self, scope: &Scope) -> Result<Observed, String>;

    /// Applies the steps in order and stops at the first failure; removals go on.
    fn apply(&mut self, plan: &Plan) -> Applied;

    /// Forgets what was read before, as links come and go and are renamed.
    fn forget(&mut self);

    /// Whether an address is on a link of this host, and not behind a gateway.
    fn is_on_link(&mut self, ip: IpAddr) -> bool;

    /// What turns forwarding on for the families of these subnets.
    ///
    /// # Errors
    /// Where it cannot be told whether it is on.
    fn forwarding(&mut self, subnets: &[IpNetwork]) -> Result<Plan, String>;

    /// What accepts a network's packets, where somebody else's chain drops what nobody accepts.
    ///
    /// # Errors
    /// Where that chain cannot be read, or is not to be changed.
    fn accepting(&mut self, network: IpNetwork) -> Result<Plan, String>;

    /// The comment of the agent's own table, where there is one.
    ///
    /// # Errors
    /// Where it cannot be read.
    fn table_comment(&mut self) -> Result<Option<String>, String>;
}

/// What became of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Steps that were taken.
    pub done: u64,
    /// Why the first one that failed did.
    pub failed: Option<String>,
}

impl<E: std::error::Error> From<Report<E>> for Applied {
    fn from(report: Report<E>) -> Self {
        let failed = report.failed.map(|(_, error)| ErrorChain(&error).to_string());
        Self { done: report.done.len() as u64, failed }
    }
}

impl Host for Kernel {
    fn observe(&mut self, scope: &Scope) -> Result<Observed, String> {
        Datapath::observe(self, scope).map_err(|error| chain(&error))
    }

    fn apply(&mut self, plan: &Plan) -> Applied {
        Datapath::apply(self, plan).into()
    }

    fn forget(&mut self) {
        Self::forget(self);
    }

    /// A question that fails is asked again in the next round; encapsulation works always.
    fn is_on_link(&mut self, ip: IpAddr) -> bool {
        self.way_to(ip).ok().flatten().is_some_and(|way| way.via.is_none())
    }

    fn forwarding(&mut self, subnets: &[IpNetwork]) -> Result<Plan, String> {
        forward::off(self, subnets).map_err(|error| chain(&error))
    }

    fn accepting(&mut self, network: IpNetwork) -> Result<Plan, String> {
        forward::closed_network(self, network, ADMIN_CHAIN).map_err(|error| chain(&error))
    }

    fn table_comment(&mut self) -> Result<Option<String>, String> {
        Self::table_comment(self, &Ns::Host, &traffic::id()).map_err(|error| chain(&error))
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    ErrorChain(error).to_string()
}
