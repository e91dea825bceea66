//! Questions about sets of nf_tables and their elements, by key where that will do.

use std::collections::BTreeMap;

use netstate::Ns;
use netstate::nft::{Element, SetId, TableId, Value};

use super::Kernel;
use super::nft_reads::is_absent;
use crate::error::{Error, Kind};
use crate::netlink::Batch;
use crate::nft::{self, RawElement, SetShape, SetTypes};

/// Questions sent in one system call.
const QUESTIONS: usize = 64;

impl Kernel {
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
}
