//! Questions about tables, chains and rules of nf_tables: one object each, never a ruleset.

use netstate::Ns;
use netstate::nft::{ChainId, Rule, Table, TableId};
use rustix::io::Errno;

use super::Kernel;
use crate::error::{Error, Kind, Refusal};
use crate::netlink::{Batch, Replies};
use crate::nft::{self, RawRule};

/// What happens to packets that reach the end of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// They pass.
    Accept,
    /// They do not.
    Drop,
}

/// A chain, as far as it was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainState {
    /// Of a base chain.
    pub policy: Option<Policy>,
}

impl Kernel {
    /// A table that is there, with its comment and without its contents.
    ///
    /// # Errors
    /// Where it cannot be asked; a table that is not there is `None`.
    pub fn table(&mut self, ns: &Ns, id: &TableId) -> Result<Option<Table>, Error> {
        let comment = self.table_comment(ns, id)?;
        let table = |comment| Table {
            id: id.clone(),
            comment,
            sets: vec![],
            networks: vec![],
            chains: vec![],
        };
        Ok(comment.map(table))
    }

    /// The comment of a table, empty where it has none; `None` without the table.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn table_comment(&mut self, ns: &Ns, id: &TableId) -> Result<Option<String>, Error> {
        let mut batch = Batch::default();
        nft::get_table(&mut batch, id);
        let action = || format!("look up table {id}");
        Ok(self.answer(ns, batch, &action)?.and_then(|body| nft::parse_table(&body)))
    }

    /// The generation of the ruleset, and the comment of a table in it or a later one: a commit for
    /// this generation fails where the table has changed since. Asked in one system call.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn table_comment_at(
        &mut self,
        ns: &Ns,
        id: &TableId,
    ) -> Result<(u32, Option<String>), Error> {
        let mut batch = Batch::default();
        nft::get_generation(&mut batch);
        nft::get_table(&mut batch, id);
        let action = || format!("look up table {id}");
        let replies = self.ask(ns, batch, &action)?;
        match replies.first_refusal() {
            Some((1, refusal)) if is_absent(refusal) => {}
            Some((_, refusal)) => return Err(Error::refused(action(), refusal.clone())),
            None => {}
        }
        let said = |question| replies.data.iter().find(|(of, _, _)| *of == question);
        let generation = said(0).and_then(|(_, _, body)| nft::parse_generation(body));
        let why = "the answer has no generation";
        let generation = generation.ok_or_else(|| Error::found(action(), Kind::Other, why))?;
        Ok((generation, said(1).and_then(|(_, _, body)| nft::parse_table(body))))
    }

    /// A chain that is there.
    ///
    /// # Errors
    /// Where it cannot be asked; a chain that is not there is `None`.
    pub fn chain(&mut self, ns: &Ns, id: &ChainId) -> Result<Option<ChainState>, Error> {
        const DROP: u32 = 0; // NF_DROP
        let mut batch = Batch::default();
        nft::get_chain(&mut batch, id);
        let action = || format!("look up chain {id}");
        let found = self.answer(ns, batch, &action)?.and_then(|body| nft::parse_chain(&body));
        let policy = |number| if number == DROP { Policy::Drop } else { Policy::Accept };
        Ok(found.map(|number| ChainState { policy: number.map(policy) }))
    }

    /// The policy of a base chain; `None` where there is no such base chain.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn chain_policy(
        &mut self,
        ns: &Ns,
        table: &TableId,
        chain: &str,
    ) -> Result<Option<Policy>, Error> {
        let id = ChainId { table: table.clone(), name: chain.to_owned() };
        Ok(self.chain(ns, &id)?.and_then(|chain| chain.policy))
    }

    /// Whether a chain has a rule; false without the chain.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn has_rule(&mut self, ns: &Ns, chain: &ChainId, rule: &Rule) -> Result<bool, Error> {
        let rules = self.raw_rules(ns, chain)?;
        Ok(rules.iter().any(|there| nft::same_rule(chain, rule, &there.expressions)))
    }

    /// Whether a chain has these rules and no others. Rules before them that jump to chains whose names
    /// begin with `but_jumps` do not count; empty: all do.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn has_rules(
        &mut self,
        ns: &Ns,
        chain: &ChainId,
        rules: &[Rule],
        but_jumps: &str,
    ) -> Result<bool, Error> {
        let there = self.raw_rules(ns, chain)?;
        let holds = |rule: &RawRule| {
            let name = but_jumps.as_bytes();
            !name.is_empty() && rule.expressions.windows(name.len()).any(|part| part == name)
        };
        let there: Vec<&RawRule> = there.iter().skip_while(|rule| holds(rule)).collect();
        let is_same =
            |(rule, there): (&Rule, &&RawRule)| nft::same_rule(chain, rule, &there.expressions);
        Ok(there.len() == rules.len() && rules.iter().zip(&there).all(is_same))
    }

    /// The generation of the namespace's ruleset: it changes with every transaction of anybody.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn generation(&mut self, ns: &Ns) -> Result<u32, Error> {
        let action = || "look up the generation of the nf_tables ruleset".to_owned();
        let mut batch = Batch::default();
        nft::get_generation(&mut batch);
        let body = self.answer(ns, batch, &action)?;
        let generation = body.and_then(|body| nft::parse_generation(&body));
        generation.ok_or_else(|| Error::found(action(), Kind::Other, "the answer has none"))
    }

    /// The rules of a chain in order; empty where there is no such chain.
    pub(crate) fn raw_rules(&mut self, ns: &Ns, chain: &ChainId) -> Result<Vec<RawRule>, Error> {
        let action = || format!("list the rules of chain {chain}");
        let mut batch = Batch::default();
        nft::list_rules(&mut batch, chain);
        self.listing(ns, batch, &action, |body| nft::parse_rule(body).into_iter().collect())
    }

    /// The first answer to a question, or nothing where what it is about is not there.
    pub(super) fn answer(
        &mut self,
        ns: &Ns,
        batch: Batch,
        action: &dyn Fn() -> String,
    ) -> Result<Option<Vec<u8>>, Error> {
        let replies = self.ask(ns, batch, action)?;
        match replies.first_refusal() {
            Some((_, refusal)) if is_absent(refusal) => return Ok(None),
            Some((_, refusal)) => return Err(Error::refused(action(), refusal.clone())),
            None => {}
        }
        Ok(replies.data.into_iter().next().map(|(_, _, body)| body))
    }

    pub(super) fn ask(
        &mut self,
        ns: &Ns,
        batch: Batch,
        action: &dyn Fn() -> String,
    ) -> Result<Replies, Error> {
        self.netfilter(ns)?.ask(batch).map_err(|e| Error::os(action(), e))
    }

    pub(super) fn listing<T>(
        &mut self,
        ns: &Ns,
        batch: Batch,
        action: &dyn Fn() -> String,
        read: impl Fn(&[u8]) -> Vec<T>,
    ) -> Result<Vec<T>, Error> {
        let socket = self.netfilter(ns)?;
        let listed: Result<Vec<T>, Refusal> =
            socket.dump_batch(batch, |list: &mut Vec<T>, _, body| list.extend(read(body)));
        match listed {
            Err(refusal) if is_absent(&refusal) => Ok(Vec::new()),
            other => other.map_err(|refusal| Error::refused(action(), refusal)),
        }
    }
}

/// The table, the set or the element is not there; or nf_tables is not, and with it nothing is.
pub(super) fn is_absent(refusal: &Refusal) -> bool {
    refusal.is(Errno::NOENT)
}
