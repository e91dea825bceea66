//! Answers to those who ask the loop something.

use attach::forward;
use netstate::NsNames;

use super::burst::Question;
use super::round::ADMIN_CHAIN;
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
        self.kernel.forget();
        let failed = |error: attach::Error| cni::ErrorChain(&error).to_string();
        let subnets: Vec<_> = self.goal.overlay.subnets().collect();
        let mut plan = forward::off(&mut self.kernel, &subnets).map_err(failed)?;
        plan.steps.extend(self.difference()?.steps);
        plan.steps.extend(self.traffic_plan(false)?.steps);
        if self.goal.forward_rules {
            for network in self.goal.traffic.networks.clone() {
                let closed = forward::closed_network(&mut self.kernel, network, ADMIN_CHAIN);
                plan.steps.extend(closed.map_err(failed)?.steps);
            }
        }
        Ok(plan.steps.iter().map(|step| step.command(&NsNames::default())).collect())
    }
}
