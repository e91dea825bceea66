//! Questions about nf_tables: one object each, by its name or key, never a ruleset.

use std::collections::BTreeMap;

use netstate::Ns;
use netstate::nft::{ChainId, Element, Rule, SetId, Table, TableId, Value};
use rustix::io::Errno;

use super::Kernel;
use crate::error::{Error, Kind, Refusal};
use crate::netlink::{Batch, Replies};
use crate::nft::{self, RawElement, RawRule, SetShape, SetTypes};

/// Questions sent in one system call.
const QUESTIONS: usize = 64;

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

    /// Who holds a key of a set: its element, with data and comment.
    ///
    /// # Errors
    /// Where it cannot be asked; a key that is free, or of a set that is not there, is `None`.
    pub fn element(
        &mut self,
        ns: &Ns,
        set: &SetId,
        key: &[Value],
    ) -> Result<Option<Element>, Error> {
        let found = self.elements_at(ns, &[(set.clone(), key.to_vec())])?;
        Ok(found.into_iter().next().flatten())
    }

    /// Who holds each of some keys, in their order; asked together.
    ///
    /// # Errors
    /// As [`Kernel::element`].
    pub fn elements_at(
        &mut self,
        ns: &Ns,
        keys: &[(SetId, Vec<Value>)],
    ) -> Result<Vec<Option<Element>>, Error> {
        let mut found = Vec::new();
        for keys in keys.chunks(QUESTIONS) {
            let raw = self.raw_elements(ns, keys)?;
            for ((set, _), raw) in keys.iter().zip(raw) {
                found.push(match raw {
                    Some(raw) => Some(self.typed(ns, set, &raw)?),
                    None => None,
                });
            }
        }
        Ok(found)
    }

    /// All elements of a set; empty where there is no such set. It is a dump: for upgrades, garbage
    /// collection and sets that stay small.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn elements(&mut self, ns: &Ns, set: &SetId) -> Result<Vec<Element>, Error> {
        let action = || format!("list the elements of {set}");
        let mut batch = Batch::default();
        nft::list_elements(&mut batch, set);
        let raw = self.listing(ns, batch, &action, nft::parse_elements)?;
        raw.iter().map(|raw| self.typed(ns, set, raw)).collect()
    }

    /// The sets of a table; none where there is no such table. It is a dump: for garbage
    /// collection only.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn sets(&mut self, ns: &Ns, table: &TableId) -> Result<Vec<SetId>, Error> {
        let action = || format!("list the sets of table {table}");
        let mut batch = Batch::default();
        nft::list_sets(&mut batch, table);
        let name = |body: &[u8]| nft::parse_set_name(body).into_iter().collect();
        let names = self.listing(ns, batch, &action, name)?;
        Ok(names.iter().map(|name| SetId::new(table, name)).collect())
    }

    /// What holds each key, as bytes.
    pub(crate) fn raw_elements(
        &mut self,
        ns: &Ns,
        keys: &[(SetId, Vec<Value>)],
    ) -> Result<Vec<Option<RawElement>>, Error> {
        let mut batch = Batch::default();
        for (set, key) in keys {
            nft::get_element(&mut batch, set, key);
        }
        let replies = self.ask(ns, batch, &|| "look up elements".to_owned())?;
        let mut found: BTreeMap<usize, RawElement> = BTreeMap::new();
        for (question, _, body) in &replies.data {
            found.extend(nft::parse_elements(body).pop().map(|element| (*question, element)));
        }
        for ((set, _), result) in keys.iter().zip(&replies.results) {
            if let Some(refusal) = result.as_ref().err().filter(|refusal| !is_absent(refusal)) {
                return Err(Error::refused(
                    format!("look up an element of {set}"),
                    refusal.clone(),
                ));
            }
        }
        Ok((0..keys.len()).map(|question| found.remove(&question)).collect())
    }

    /// The shape of a set that is there.
    pub(crate) fn set_shape(&mut self, ns: &Ns, set: &SetId) -> Result<Option<SetShape>, Error> {
        let mut batch = Batch::default();
        nft::get_set(&mut batch, set);
        let action = || format!("look up set {set}");
        Ok(self.answer(ns, batch, &action)?.and_then(|body| nft::parse_set(&body)))
    }

    /// The rules of a chain in order; empty where there is no such chain.
    pub(crate) fn raw_rules(&mut self, ns: &Ns, chain: &ChainId) -> Result<Vec<RawRule>, Error> {
        let action = || format!("list the rules of chain {chain}");
        let mut batch = Batch::default();
        nft::list_rules(&mut batch, chain);
        self.listing(ns, batch, &action, |body| nft::parse_rule(body).into_iter().collect())
    }

    fn typed(&mut self, ns: &Ns, set: &SetId, raw: &RawElement) -> Result<Element, Error> {
        if !self.space(ns)?.set_types.contains_key(set) {
            let shape = self.set_shape(ns, set)?;
            let types = shape.as_ref().and_then(SetTypes::of);
            let why = "its types are not known";
            let missing =
                || Error::found(format!("read elements of {set}"), Kind::Unsupported, why);
            self.space(ns)?.set_types.insert(set.clone(), types.ok_or_else(missing)?);
        }
        let types = self.space(ns)?.set_types.get(set);
        let why = "it has not the types of its set";
        types
            .and_then(|types| types.element(raw))
            .ok_or_else(|| Error::found(format!("read an element of {set}"), Kind::Other, why))
    }

    /// The first answer to a question, or nothing where what it is about is not there.
    fn answer(
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
