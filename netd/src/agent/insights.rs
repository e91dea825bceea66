//! What is known of all networks of this host: of the only one as it is, of several each by its name.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::insight::Insight;
use super::standing::Standing;
use crate::api::status::{Answer, Several};
use crate::reconcile::Input;

/// What is known of all networks.
#[derive(Debug, Clone)]
pub(super) struct Insights(Arc<[Insight]>);

impl Insights {
    pub(super) fn new(all: impl Iterator<Item = Insight>) -> Self {
        Self(all.collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Insight> {
        self.0.iter()
    }

    /// How the agent stands.
    pub(super) fn report(&self) -> Answer {
        if let [one @ Insight { network: None, .. }] = &*self.0 {
            return Answer::One(Box::new(one.report()));
        }
        let all = self.iter().map(|one| (one.network.clone().unwrap_or_default(), one.report()));
        Answer::Several(Several::new(all.collect(), self.not_ready()))
    }

    /// Why containers could not be attached to all networks now, or not be reached.
    pub(super) fn not_ready(&self) -> Option<String> {
        self.said(Standing::not_ready)
    }

    /// What else there is to say of networks that are ready.
    pub(super) fn remark(&self) -> Option<String> {
        self.said(Standing::remark)
    }

    /// One line for people.
    pub(super) fn line(&self) -> String {
        self.said(|standing| Some(standing.line())).unwrap_or_default()
    }

    /// The commands that the loops would run now: each once, though several would run it.
    ///
    /// # Errors
    /// Where none can tell: why.
    pub(super) async fn plan(&self) -> Result<String, String> {
        let (mut text, mut seen, mut told) = (String::new(), BTreeSet::new(), false);
        for one in self.iter() {
            let (mut part, head) = (String::new(), one.network.as_ref());
            match one.plan().await {
                Ok(commands) => {
                    told = true;
                    let new = commands.into_iter().filter(|line| seen.insert(line.clone()));
                    new.for_each(|line| part.push_str(&format!("{line}\n")));
                }
                Err(why) => match head {
                    None => return Err(why),
                    Some(_) => part.push_str(&format!("# cannot tell: {why}\n")),
                },
            }
            if let (Some(name), false) = (head, part.is_empty()) {
                text.push_str(&format!("# network {name}\n"));
            }
            text.push_str(&part);
        }
        if told { Ok(text) } else { Err(self.not_ready().unwrap_or_default()) }
    }

    /// Whether all loops that run answer.
    pub(super) async fn work(&self) -> bool {
        for one in self.iter() {
            let inputs = one.running.borrow().as_ref().map(|running| running.inputs.clone());
            let Some(inputs) = inputs else { continue };
            let (answer, answered) = oneshot::channel();
            if inputs.send(Input::Ping(answer)).is_err() || answered.await.is_err() {
                return false;
            }
        }
        true
    }

    /// What there is to say of each, with its name before it.
    fn said(&self, what: impl Fn(&Standing) -> Option<String>) -> Option<String> {
        let one = |one: &Insight| {
            let said = what(&one.standing.borrow())?;
            Some(one.network.as_ref().map_or(said.clone(), |name| format!("{name}: {said}")))
        };
        let all: Vec<String> = self.iter().filter_map(one).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}
