//! Prints what an allocation and a release cost at several numbers of reservations.
//!
//! `bench [directory]`: a new directory is made below the given one (default: the system's
//! directory for temporary files) and removed afterwards.
//!
//! `bench once <data dir> <network> add|del|del-unknown <container>`: one operation on
//! 10.0.0.0/8 in a given directory, to be run under `strace -c`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ipam::{HostLocal, Owner, RangeSet, RangeSpec, parse_cidr, range_sets};

type Failure = Box<dyn std::error::Error>;

/// Operations measured per figure.
const ROUNDS: u32 = 500;

#[expect(clippy::print_stdout, reason = "a report for the reader, not a CNI result")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["once", data, network, operation, container] => {
            once(Path::new(data), network, operation, container)
        }
        _ => {
            let base = words.first().map_or_else(std::env::temp_dir, PathBuf::from);
            let data = base.join(format!("host-local-bench-{}", std::process::id()));
            let subjects = measure(&data, &[10, 1_000, 60_000]);
            std::fs::remove_dir_all(&data)?;
            println!("microseconds: median (99th percentile, most)");
            println!(
                "{:>12} {:>24} {:>24} {:>24} {:>24}",
                "reservations", "ADD", "ADD, wrapped", "DEL", "DEL, unknown"
            );
            for subject in subjects? {
                println!("{}", subject.line());
            }
            Ok(())
        }
    }
}

fn sets(subnet: &str) -> Result<Vec<RangeSet>, Failure> {
    Ok(range_sets(&[vec![RangeSpec::of(parse_cidr(subnet)?)]])?)
}

fn once(data: &Path, network: &str, operation: &str, container: &str) -> Result<(), Failure> {
    let mut store = HostLocal::open(data, network)?;
    let owner = Owner::new(container, "eth0");
    match operation {
        "add" => store.allocate(&sets("10.0.0.0/8")?, &owner, &[]).map(drop)?,
        _ => store.release(&owner).map(drop)?,
    }
    Ok(())
}

/// A store with a number of reservations, and what was measured on it.
struct Subject {
    count: u32,
    data: PathBuf,
    store: HostLocal,
    adds: Vec<Duration>,
    dels: Vec<Duration>,
    unknown: Vec<Duration>,
    wrapped: Vec<Duration>,
}

fn measure(data: &Path, counts: &[u32]) -> Result<Vec<Subject>, Failure> {
    let sets = sets("10.0.0.0/16")?;
    let mut subjects = Vec::new();
    for count in counts {
        let data = data.join(count.to_string());
        let mut store = HostLocal::open(&data, "bench")?;
        for number in 0..*count {
            store.allocate(&sets, &owner(number), &[])?;
        }
        subjects.push(Subject {
            count: *count,
            data,
            store,
            adds: Vec::new(),
            dels: Vec::new(),
            unknown: Vec::new(),
            wrapped: Vec::new(),
        });
    }
    // Interleaved, so that whatever else the machine does hits all alike. All ADDs come before the
    // first DEL: ext4 looks for inodes longer when many were freed within the last seconds.
    for round in 0..ROUNDS {
        for subject in &mut subjects {
            subject.add(round, &sets)?;
        }
    }
    for round in 0..ROUNDS {
        for subject in &mut subjects {
            subject.add_wrapped(ROUNDS + round, &sets)?;
        }
    }
    for round in 0..2 * ROUNDS {
        for subject in &mut subjects {
            subject.del(round)?;
        }
    }
    Ok(subjects)
}

fn owner(number: u32) -> Owner {
    Owner::new(format!("{number:064x}"), "eth0")
}

impl Subject {
    fn add(&mut self, round: u32, sets: &[RangeSet]) -> Result<(), Failure> {
        let owner = owner(self.count + round);
        self.adds.push(timed(|| self.store.allocate(sets, &owner, &[]))?);
        Ok(())
    }

    /// Round robin back at the start, in front of all reservations.
    fn add_wrapped(&mut self, round: u32, sets: &[RangeSet]) -> Result<(), Failure> {
        std::fs::write(self.data.join("bench/last_reserved_ip.0"), "10.0.0.1")?;
        let owner = owner(self.count + round);
        self.wrapped.push(timed(|| self.store.allocate(sets, &owner, &[]))?);
        Ok(())
    }

    fn del(&mut self, round: u32) -> Result<(), Failure> {
        let owner = owner(self.count + round);
        self.dels.push(timed(|| self.store.release(&owner))?);
        self.unknown.push(timed(|| self.store.release(&owner))?);
        Ok(())
    }

    fn line(self) -> String {
        let [adds, wrapped, dels, unknown] = [self.adds, self.wrapped, self.dels, self.unknown]
            .map(|times| Figures::of(times).to_string());
        format!("{:>12} {adds:>24} {wrapped:>24} {dels:>24} {unknown:>24}", self.count)
    }
}

fn timed<T, E>(operation: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    let start = Instant::now();
    operation()?;
    Ok(start.elapsed())
}

/// Microseconds.
struct Figures {
    median: f64,
    p99: f64,
    max: f64,
}

impl Figures {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
            times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1e6)
        };
        Self { median: at(50), p99: at(99), max: at(100) }
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ({:.1}, {:.1})", self.median, self.p99, self.max)
    }
}
