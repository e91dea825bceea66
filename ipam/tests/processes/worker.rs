//! What a worker process does.

use std::io::Write;
use std::path::Path;

use ipam::Error;

use crate::{owner, sets, store};

/// `add|del|gc DATA CONTAINER SUBNET...`: one operation; gc keeps
/// the containers, joined by `+`.
/// `churn DATA SEED SUBNET...`: without end ADD, DEL and CHECK, with a line for each: `+ADDRESS`
/// once it is ours, `-ADDRESS` before it is given back.
pub(crate) fn run(arguments: &[String]) -> i32 {
    let [operation, data, name, subnets @ ..] = arguments else { panic!("{arguments:?}") };
    let subnets: Vec<&str> = subnets.iter().map(String::as_str).collect();
    let data = Path::new(data);
    let mut store = store(data);
    let outcome = match operation.as_str() {
        "add" => store.allocate(&sets(&subnets), &owner(name), &[]).map(drop),
        "del" => store.release(&owner(name)).map(drop),
        "gc" => store.gc(&name.split('+').map(owner).collect()).map(drop),
        _ => churn(data, name, &subnets),
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            println!("{error}");
            1
        }
    }
}

fn churn(data: &Path, seed: &str, subnets: &[&str]) -> Result<(), Error> {
    let sets = sets(subnets);
    let mut store = store(data);
    let mut random = seed.bytes().fold(1, |state, byte| step(state ^ u64::from(byte)));
    let mut held: Vec<(String, String)> = Vec::new();
    let mut number = 0_u64;
    loop {
        random = step(random);
        let add = held.is_empty() || (held.len() < 12 && random % 2 == 0);
        if add {
            number += 1;
            let container = format!("{seed}-{number}");
            match store.allocate(&sets, &owner(&container), &[]) {
                Ok(given) => {
                    let address = given[0].address.ip().to_string();
                    tell(&format!("+{address}\n"));
                    held.push((container, address));
                }
                Err(Error::Full { .. }) => {}
                Err(error) => return Err(error),
            }
        } else {
            // The oldest or the youngest.
            let pick = if random & 4 == 0 { 0 } else { held.len() - 1 };
            let (container, address) = held.swap_remove(pick);
            let holds = store.holds(&owner(&container))?;
            let holds_it = matches!(&holds[..], [only] if only.to_string() == address);
            assert!(holds_it, "{container}: {holds:?} instead of {address}");
            tell(&format!("-{address}\n"));
            assert_eq!(store.release(&owner(&container))?, holds);
        }
    }
}

/// One write: lines of several processes in one pipe stay whole and in order.
fn tell(line: &str) {
    // The reader is gone when the test is over.
    if std::io::stdout().lock().write_all(line.as_bytes()).is_err() {
        std::process::exit(0);
    }
}

/// xorshift64.
fn step(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}
