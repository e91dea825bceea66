//! nf_tables of the simulated kernel.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Fault, Outcome, Sim, exists};
use crate::name::Ns;
use crate::nft::{Chain, ChainId, DataType, Element, Rule, Set, SetId, Table, TableId, Value};
use crate::op::{Mode, Op};
use crate::state::NetState;

impl Sim {
    /// A table that is there with another comment is of another version: it is replaced, and keeps
    /// the elements of the sets it still has.
    pub(super) fn add_table(
        &mut self,
        ns: &Ns,
        table: &Table,
        mode: Mode,
    ) -> Result<Outcome, Fault> {
        let space = self.space(ns);
        let Some(have) = space.tables.get(&table.id) else {
            space.tables.insert(table.id.clone(), table.clone());
            return Ok(Outcome::NEW);
        };
        if mode == Mode::Fresh || have.comment == table.comment {
            return exists(mode, true);
        }
        let before = space.tables.insert(table.id.clone(), table.clone());
        let is_kept = |set: &SetId| {
            set.table != table.id || table.sets.iter().any(|kept| *kept.name == *set.name)
        };
        space.elements.retain(|set, _| is_kept(set));
        Ok(Outcome { changed: true, undo: before.map(Op::AddTable) })
    }

    pub(super) fn del_table(&mut self, ns: &Ns, id: &TableId) -> Outcome {
        let space = self.space(ns);
        space.elements.retain(|set, _| set.table != *id);
        Outcome::of(space.tables.remove(id).is_some())
    }

    pub(super) fn add_chain(
        &mut self,
        ns: &Ns,
        table: &TableId,
        chain: &Chain,
        mode: Mode,
    ) -> Result<Outcome, Fault> {
        let table = self.space(ns).tables.get_mut(table).ok_or(Fault::NotFound)?;
        if let Some(have) = table.chains.iter().find(|have| have.name == chain.name) {
            return exists(mode, have == chain);
        }
        table.chains.push(chain.clone());
        Ok(Outcome::NEW)
    }

    pub(super) fn add_set(
        &mut self,
        ns: &Ns,
        table: &TableId,
        set: &Set,
        mode: Mode,
    ) -> Result<Outcome, Fault> {
        let table = self.space(ns).tables.get_mut(table).ok_or(Fault::NotFound)?;
        if let Some(have) = table.sets.iter().find(|have| have.name == set.name) {
            return exists(mode, have == set);
        }
        table.sets.push(set.clone());
        Ok(Outcome::NEW)
    }

    pub(super) fn insert_rule(
        &mut self,
        ns: &Ns,
        chain: &ChainId,
        rule: &Rule,
        mode: Mode,
    ) -> Result<Outcome, Fault> {
        let chain = chain_mut(self.space(ns), chain).ok_or(Fault::NotFound)?;
        // Equal rules may stand beside each other: only a shared one is not made twice.
        if mode == Mode::Ensure && chain.rules.contains(rule) {
            return Ok(Outcome::SAME);
        }
        chain.rules.insert(0, rule.clone());
        Ok(Outcome::NEW)
    }

    pub(super) fn del_rule_of(&mut self, ns: &Ns, chain: &ChainId, rule: &Rule) -> Outcome {
        let Some(chain) = chain_mut(self.space(ns), chain) else { return Outcome::SAME };
        let Some(place) = chain.rules.iter().position(|have| have == rule) else {
            return Outcome::SAME;
        };
        chain.rules.remove(place);
        Outcome::NEW
    }

    pub(super) fn flush_chain(&mut self, ns: &Ns, chain: &ChainId) -> Outcome {
        match chain_mut(self.space(ns), chain) {
            Some(chain) if !chain.rules.is_empty() => {
                chain.rules.clear();
                Outcome::NEW
            }
            Some(_) | None => Outcome::SAME,
        }
    }

    pub(super) fn add_element(
        &mut self,
        ns: &Ns,
        set: &SetId,
        element: &Arc<Element>,
        mode: Mode,
    ) -> Result<Outcome, Fault> {
        let space = self.space(ns);
        let model = set_of(space, set).ok_or(Fault::NotFound)?;
        if types(&element.key) != model.key || types(&element.data) != model.data {
            return Err(Fault::Invalid("the element is of other types than its set"));
        }
        if let Some(have) = space.elements.get(set).and_then(|all| at_key(all, element)) {
            return exists(mode, have == element);
        }
        space.add_element(set.clone(), element.clone());
        Ok(Outcome::NEW)
    }

    pub(super) fn del_element(&mut self, ns: &Ns, set: &SetId, element: &Element) -> Outcome {
        let space = self.space(ns);
        let Some(all) = space.elements.get_mut(set) else { return Outcome::SAME };
        let Some(have) = at_key(all, element).cloned() else { return Outcome::SAME };
        all.remove(&have);
        if all.is_empty() {
            space.elements.remove(set);
        }
        Outcome::undone_by(Op::AddElement { set: set.clone(), element: have })
    }
}

fn at_key<'e>(elements: &'e BTreeSet<Arc<Element>>, element: &Element) -> Option<&'e Arc<Element>> {
    elements.iter().find(|have| have.key == element.key)
}

fn set_of<'s>(space: &'s NetState, id: &SetId) -> Option<&'s Set> {
    space.tables.get(&id.table)?.sets.iter().find(|set| *set.name == *id.name)
}

fn chain_mut<'s>(space: &'s mut NetState, id: &ChainId) -> Option<&'s mut Chain> {
    space.tables.get_mut(&id.table)?.chains.iter_mut().find(|chain| chain.name == id.name)
}

fn types(values: &[Value]) -> Vec<DataType> {
    values.iter().map(Value::data_type).collect()
}
