//! Chains and rules of other programs: found by name, removed in one transaction.

use netstate::Ns;
use netstate::nft::ChainId;
use rustix::io::Errno;

use super::Kernel;
use super::nft_reads::is_absent;
use crate::error::Error;
use crate::netlink::Batch;
use crate::nft::{self, ForeignRule};

impl Kernel {
    /// Those of some chains that are there, asked for in one system call. A kernel without
    /// nf_tables has none.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn chains_there(&mut self, ns: &Ns, ids: &[ChainId]) -> Result<Vec<ChainId>, Error> {
        let mut batch = Batch::default();
        for id in ids {
            nft::get_chain(&mut batch, id);
        }
        let replies = self.ask(ns, batch, &|| "look up chains".to_owned())?;
        let mut there = Vec::new();
        for (id, result) in ids.iter().zip(&replies.results) {
            match result {
                Ok(()) => there.push(id.clone()),
                Err(refusal) if is_absent(refusal) => {}
                // No nf_tables, or not for this family.
                Err(refusal) if refusal.is(Errno::INVAL) || refusal.is(Errno::OPNOTSUPP) => {}
                Err(refusal) => {
                    return Err(Error::refused(format!("look up chain {id}"), refusal.clone()));
                }
            }
        }
        Ok(there)
    }

    /// The rules of a chain in order; none where there is no such chain. It is a dump.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn rules(&mut self, ns: &Ns, chain: &ChainId) -> Result<Vec<ForeignRule>, Error> {
        let rules = self.raw_rules(ns, chain)?;
        Ok(rules.into_iter().map(|raw| ForeignRule::new(chain, raw)).collect())
    }

    /// Removes rules, then chains with all that is in them, in one transaction, if nobody has
    /// changed the ruleset since [`Kernel::generation`] gave this number.
    ///
    /// # Errors
    /// [`crate::Kind::Interrupted`] where somebody has; nothing is removed after any error.
    pub fn remove_foreign(
        &mut self,
        ns: &Ns,
        rules: &[ForeignRule],
        chains: &[ChainId],
        generation: u32,
    ) -> Result<(), Error> {
        let mut batch = Batch::default();
        nft::begin(&mut batch, Some(generation));
        for rule in rules {
            nft::del_rule(&mut batch, rule.chain(), rule.handle());
        }
        for chain in chains {
            nft::del_chain(&mut batch, chain);
        }
        nft::end(&mut batch);
        let names: Vec<String> = rules.iter().map(|rule| rule.chain().to_string()).collect();
        let names: Vec<String> =
            names.into_iter().chain(chains.iter().map(ToString::to_string)).collect();
        let action = || format!("remove the rules of others in {}", names.join(", "));
        let replies = self.netfilter(ns)?.exchange(batch, 1).map_err(|e| Error::os(action(), e))?;
        match replies.first_refusal() {
            None => Ok(()),
            Some((_, refusal)) => Err(Error::refused(action(), refusal.clone())),
        }
    }
}
