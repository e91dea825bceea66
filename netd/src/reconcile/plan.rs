//! Answers to those who ask the loop something.

use netstate::NsNames;

use super::burst::Question;
use super::work::Work;

impl Work {
    /// Answers, once all that was told is done. Whoever asked has gone if he does not take it.
    pub(super) fn answer(&mut self, questions: Vec<Question>) {
        for question in questions {
            match question {
                Question::Ping(sender) => drop(sender.send(())),
                Question::Plan(sender) => drop(sender.send(self.plan())),
            }
        }
    }

    /// The commands that a round would run now.
    fn plan(&mut self) -> Result<Vec<String>, String> {
        if !self.started {
            return Err("the other hosts of the cluster are not known yet".to_owned());
        }
        self.host.forget();
        let subnets: Vec<_> = self.goal.overlay.subnets().collect();
        let mut plan = self.host.forwarding(&subnets)?;
        plan.steps.extend(self.difference()?.steps);
        let part = self.part.clone();
        let all = part.hold(&self.goal.traffic);
        plan.steps.extend(self.traffic_plan(&all, false)?.steps);
        drop(all);
        if self.goal.forward_rules {
            for network in self.goal.traffic.networks.clone() {
                plan.steps.extend(self.host.accepting(network)?.steps);
            }
        }
        Ok(plan.steps.iter().map(|step| step.command(&NsNames::default())).collect())
    }
}
