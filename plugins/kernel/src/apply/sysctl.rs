//! Steps that write sysctls: all of a run in one visit to the namespace.

use netstate::{Ns, Op, Step};
use rustix::io::Errno;

use super::Work;
use crate::error::Error;
use crate::sysctl::{Written, write};

pub(super) fn run(work: &mut Work<'_>, ns: &Ns, steps: &[Step]) {
    let teardown = work.teardown;
    let written = work.kernel.inside(ns, || {
        let mut results = Vec::new();
        for step in steps {
            let Op::SetSysctl { key, value, optional } = &step.op else { continue };
            let result = write(key, value);
            let failed = result.is_err() && !optional;
            results.push((step, result));
            if failed && !teardown {
                break;
            }
        }
        results
    });
    match written {
        Ok(results) => results.into_iter().for_each(|(step, result)| report(work, step, result)),
        Err(error) => {
            if let Some(step) = steps.first() {
                work.fail(step, error);
            }
        }
    }
}

fn report(work: &mut Work<'_>, step: &Step, result: Result<Written, Errno>) {
    let Op::SetSysctl { key, optional, .. } = &step.op else { return };
    match result {
        Ok(Written::Same) => work.done(step, false, None),
        Ok(Written::Changed { before }) => {
            let back = |value| Op::SetSysctl { key: key.clone(), value, optional: true };
            work.done(step, true, before.map(back));
        }
        Err(Errno::NOENT | Errno::ROFS | Errno::ACCESS | Errno::PERM) if *optional => {
            work.done(step, false, None);
        }
        Err(e) => work.fail(step, Error::os(step.to_string(), e)),
    }
}
