//! Kill safety: ADD and DEL of bridge, host-local, portmap and firewall are killed, and separately
//! failed, at every netlink message and at every system call; DEL alone, or GC alone, then leaves
//! nothing, and ADD works.
//!
//! System calls are cut by strace in the release program, messages (each position in a batch) by
//! the program of profile `inject`. What is compared is `assets/kill.sh`'s snapshot.

#![expect(clippy::indexing_slicing, reason = "an index out of range fails the test")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail, ensure};
use e2e::{Host, Lab, Place as _, PluginSet, bins, require_programs};
use serde_json::{Value, json};

const SCRIPT: &str = include_str!("../assets/kill.sh");
/// In the order of the chain; `bridge` calls `host-local` in its own process.
const PLUGINS: [&str; 3] = ["bridge", "portmap", "firewall"];
const WORKERS: usize = 4;
/// More messages than any call sends.
const MESSAGES: usize = 200;
/// System calls about the process itself: their failing says nothing about the network.
const OWN: &str = "execve brk mmap munmap mprotect mremap madvise arch_prctl set_tid_address \
                   set_robust_list rseq prlimit64 rt_sigaction rt_sigprocmask sigaltstack poll \
                   gettid getpid getrandom close exit_group exit restart_syscall";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verb {
    Add,
    Del,
}

/// Where a call is cut.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// The nth system call of that name, from 1.
    Call(String, usize),
    /// The nth netlink message, from 0.
    Message(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    Killed,
    /// Name and number of the error.
    Failed(&'static str, i32),
}

/// Who has to clean up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Recovery {
    Itself,
    Del,
    Gc,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    verb: Verb,
    plugin: usize,
    at: At,
    how: How,
    recovery: Recovery,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verb, plugin, at, how, recovery } = self;
        write!(f, "{verb:?} of {} {how:?} at {at:?}, then {recovery:?}", PLUGINS[*plugin])
    }
}

#[test]
fn killed_or_failed_anywhere_del_or_gc_leaves_nothing() -> Result<()> {
    if !require_programs(&["strace", "nft", "conntrack"])? {
        return Ok(());
    }
    Lab::run(|lab| {
        let run = Run {
            lab,
            tried: AtomicUsize::new(0),
            hosts: AtomicUsize::new(0),
            wrong: Mutex::default(),
        };
        let kills: Vec<Point> = each_call()
            .flat_map(|(verb, plugin)| {
                [Recovery::Del, Recovery::Gc].map(|recovery| (verb, plugin, recovery))
            })
            .map(|(verb, plugin, recovery)| Point {
                verb,
                plugin,
                at: At::Message(0),
                how: How::Killed,
                recovery,
            })
            .collect();
        let counts: Mutex<BTreeMap<(Verb, usize), usize>> = Mutex::default();
        run.all(kills, |site, point| {
            let count = run.every_message(site, point)?;
            counts
                .lock()
                .ok()
                .context("a worker panicked")?
                .insert((point.verb, point.plugin), count);
            Ok(())
        })?;
        let counts = counts.into_inner().ok().context("a worker panicked")?;
        let mut points = failing_messages(&counts);
        points.extend(system_calls(&run)?);
        run.all(points, |site, point| run.one(site, point).map(drop))?;
        let wrong = run.wrong.into_inner().ok().context("a worker panicked")?;
        let tried = run.tried.into_inner();
        ensure!(wrong.is_empty(), "{} of {tried} points:\n{}", wrong.len(), wrong.join("\n"));
        println!("{tried} points; messages of each call: {counts:?}");
        Ok(())
    })
}

/// What makes programs fail on purpose is in no release.
#[test]
fn the_released_program_cannot_be_made_to_fail() -> Result<()> {
    let has = |path: std::path::PathBuf| -> Result<bool> {
        let bytes = std::fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        Ok(bytes.windows(11).any(|part| part == b"NETD_INJECT"))
    };
    ensure!(has(inject_program()?)?, "the program of profile inject has no injection");
    ensure!(!has(bins::program("plugins")?)?, "the released program has injection");
    Ok(())
}

fn inject_program() -> Result<std::path::PathBuf> {
    let released = bins::program("plugins")?;
    let target = released.parent().and_then(|dir| dir.parent()).context("the target directory")?;
    let path = target.join("inject/plugins");
    ensure!(path.exists(), "{} is not built: run `make build` first", path.display());
    Ok(path)
}

/// The test's workers and what they found.
struct Run<'l> {
    lab: &'l Lab,
    tried: AtomicUsize,
    hosts: AtomicUsize,
    wrong: Mutex<Vec<String>>,
}

impl Run<'_> {
    fn site(&self) -> Result<Site> {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        Site::new(self.lab, &format!("host{number}"))
    }

    /// Does `work` at all points, each worker on a host of its own.
    fn all(
        &self,
        points: Vec<Point>,
        work: impl Fn(&mut Site, &Point) -> Result<()> + Sync,
    ) -> Result<()> {
        let queue = Mutex::new(points.into_iter());
        let worker = || -> Result<()> {
            let mut site = self.site()?;
            loop {
                let next = queue.lock().ok().context("a worker panicked")?.next();
                let Some(point) = next else { return Ok(()) };
                work(&mut site, &point)?;
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..WORKERS).map(|_| scope.spawn(worker)).collect();
            workers.into_iter().try_for_each(|w| match w.join() {
                Ok(done) => done,
                Err(_) => bail!("a worker panicked"),
            })
        })
    }

    /// Kills at each message in turn, until a call ends by itself: that many it sends.
    fn every_message(&self, site: &mut Site, first: &Point) -> Result<usize> {
        for number in 0..MESSAGES {
            let point = Point { at: At::Message(number), ..first.clone() };
            if !self.one(site, &point)? {
                return Ok(number);
            }
        }
        bail!("{first}: over {MESSAGES} messages")
    }

    /// Tries one point, notes what is wrong, and tells whether it was reached.
    fn one(&self, site: &mut Site, point: &Point) -> Result<bool> {
        let output = site.host.sh(&site.script(point))?.stdout;
        let (first, rest) = output.split_once('\n').context("no first line")?;
        let reached = match (point.how, &point.at) {
            (How::Killed, _) => first.starts_with("code 137"),
            (How::Failed(..), At::Call(..)) => first.contains("INJECTED"),
            (How::Failed(..), At::Message(_)) => true,
        };
        let mut problem = rest.trim().to_owned();
        if !reached && matches!(point.at, At::Call(..)) {
            problem = format!("not reached: {first}\n{problem}");
        }
        if reached {
            self.tried.fetch_add(1, Ordering::Relaxed);
        }
        if !problem.is_empty() {
            let mut wrong = self.wrong.lock().ok().context("a worker panicked")?;
            wrong.push(format!("{point}: {first}\n    {}", problem.replace('\n', "\n    ")));
            *site = self.site()?;
        }
        Ok(reached)
    }
}

/// A host with the plugins, their configurations, and the state after a clean ADD and DEL.
struct Site {
    host: Host,
}

impl Site {
    fn new(lab: &Lab, name: &str) -> Result<Self> {
        let host = lab.host(name)?;
        PluginSet::Ours.install(&host)?;
        let inject = inject_program()?;
        for name in PLUGINS.into_iter().chain(["host-local"]) {
            host.copy_program(&inject, &format!("/opt/inject/{name}"))?;
        }
        host.sh("mkdir /run/conf; ip link add up0 type bridge; ip link set up0 up; ip addr add 192.0.2.10/24 dev up0")?;
        let site = Self { host };
        site.configure(&Value::Null)?;
        // The result of each plugin is what the next one gets, as all names and addresses are fixed.
        let result = site.bash("ip netns add web; must ADD bridge; cat /run/answer; must DEL bridge >&2; ip netns del web")?;
        let result =
            serde_json::from_str(&result).with_context(|| format!("not a result: {result}"))?;
        site.configure(&result)?;
        let said = site.bash("clean_cycle; clean_cycle; snapshot > /run/conf/baseline")?;
        ensure!(said.is_empty(), "a clean ADD and DEL: {said}");
        Ok(site)
    }

    fn bash(&self, script: &str) -> Result<String> {
        Ok(self.host.sh(&format!("set +e\n{}\n{script}\nexit 0", SCRIPT))?.stdout)
    }

    fn configure(&self, result: &Value) -> Result<()> {
        for plugin in confs() {
            let name = plugin["type"].as_str().context("type")?.to_owned();
            let mut conf = plugin;
            conf["cniVersion"] = json!("1.1.0");
            conf["name"] = json!("red");
            let with = |verb: &str, key: &str, value: &Value| {
                let mut conf = conf.clone();
                if !value.is_null() {
                    conf[key] = value.clone();
                }
                self.host.write_file(&format!("/run/conf/{name}.{verb}.json"), conf.to_string())
            };
            let prev = if name == "bridge" { &Value::Null } else { result };
            with("ADD", "prevResult", prev)?;
            with("DEL", "prevResult", &Value::Null)?;
            with("GC", "cni.dev/valid-attachments", &json!([]))?;
        }
        Ok(())
    }

    /// Everything of one point. The first line it prints says what became of the call; any other
    /// says what is wrong.
    fn script(&self, point: &Point) -> String {
        let name = PLUGINS[point.plugin];
        let before = PLUGINS[..point.plugin].join(" ");
        let after: Vec<&str> = PLUGINS[point.plugin + 1..].iter().rev().copied().collect();
        let (prepare, verb) = match point.verb {
            Verb::Add => (format!("add {before}"), "ADD"),
            Verb::Del => {
                (format!("add ${{PLUGINS[@]}}; knock; NETNS=; del {}", after.join(" ")), "DEL")
            }
        };
        let cut = match (&point.at, point.how) {
            (At::Call(call, nth), how) => {
                let what = match how {
                    How::Killed => "signal=KILL".to_owned(),
                    How::Failed(error, _) => format!("error={error}"),
                };
                format!(
                    "call {verb} {name} strace -f -qq -o /run/trace -e inject={call}:{what}:when={nth}"
                )
            }
            (At::Message(number), how) => {
                let what = match how {
                    How::Killed => format!("kill:{number}"),
                    How::Failed(_, errno) => format!("fail:{number}:{errno}"),
                };
                format!("BIN=/opt/inject; call {verb} {name} env NETD_INJECT={what}")
            }
        };
        let gone = match (&point.at, point.verb) {
            (At::Message(n) | At::Call(_, n), Verb::Add) if n % 2 == 1 => "ip netns del web;",
            _ => "",
        };
        let recover = match point.recovery {
            Recovery::Itself => format!(
                "if [ $code = 0 ]; then del {name}; \
                 elif grep -q -e 'left behind' -e 'stay reserved' /run/answer; then must DEL {name}; fi; \
                 del $(echo {before} | tac -s ' ')"
            ),
            Recovery::Del => format!("{gone} NETNS=; del ${{REVERSE[@]}}"),
            Recovery::Gc => "collect".to_owned(),
        };
        format!(
            "set +e\n{SCRIPT}\n: >/run/trace; ip netns add web\n{{ {prepare}; }} >/run/setup\n\
             {{ {cut}; }} 2>/dev/null\ncode=$?\n\
             echo code $code $(grep -o INJECTED /run/trace) $(tr -d '\\n' </run/answer | head -c 300)\n\
             BIN=/opt/cni/bin; cat /run/setup\nknock 2>/dev/null\n{recover}\nleft\n\
             NETNS=/run/netns/web; clean_cycle\nexit 0"
        )
    }
}

fn confs() -> [Value; 3] {
    [
        json!({
            "type": "bridge", "bridge": "red", "isGateway": true, "ipMasq": true,
            "hairpinMode": true,
            "ipam": { "type": "host-local", "ranges": [[{ "subnet": "10.1.0.0/24" }]],
                      "routes": [{ "dst": "0.0.0.0/0" }] },
        }),
        json!({
            "type": "portmap", "runtimeConfig": { "portMappings": [
                { "hostPort": 8080, "containerPort": 80, "protocol": "tcp" },
                { "hostPort": 5353, "containerPort": 53, "protocol": "udp" },
            ]},
        }),
        json!({ "type": "firewall", "ingressPolicy": "same-bridge" }),
    ]
}

fn each_call() -> impl Iterator<Item = (Verb, usize)> {
    [Verb::Add, Verb::Del].into_iter().flat_map(|verb| (0..PLUGINS.len()).map(move |p| (verb, p)))
}

/// ADD that fails cleans up itself; DEL that fails is called again, or GC is.
fn failing(verb: Verb, nth: usize) -> Recovery {
    match verb {
        Verb::Add => Recovery::Itself,
        Verb::Del if nth.is_multiple_of(2) => Recovery::Del,
        Verb::Del => Recovery::Gc,
    }
}

fn failing_messages(counts: &BTreeMap<(Verb, usize), usize>) -> Vec<Point> {
    const ERRORS: [(&str, i32); 3] = [("EPERM", 1), ("ENOMEM", 12), ("EBUSY", 16)];
    let mut points = Vec::new();
    for ((verb, plugin), count) in counts {
        for number in 0..*count {
            let (name, errno) = ERRORS[number % ERRORS.len()];
            points.push(Point {
                verb: *verb,
                plugin: *plugin,
                at: At::Message(number),
                how: How::Failed(name, errno),
                recovery: failing(*verb, number),
            });
        }
    }
    points
}

/// The system calls of each call, as strace lists them in a clean run.
fn system_calls(run: &Run<'_>) -> Result<Vec<Point>> {
    const ERRORS: [(&str, i32); 3] = [("EIO", 5), ("ENOSPC", 28), ("ENOMEM", 12)];
    let site = run.site()?;
    let mut points = Vec::new();
    let traced = "strace -f -qq -o /run/trace";
    let mut script = String::from(
        "ip netns add web; list() { cut -d'(' -f1 /run/trace | awk -v c=$1 '{ print c, $2 }'; }\n",
    );
    for (number, name) in PLUGINS.iter().enumerate() {
        script += &format!("call ADD {name} {traced}; list {number}\n");
    }
    script += "knock; NETNS=\n";
    for (number, name) in PLUGINS.iter().enumerate().rev() {
        script += &format!("call DEL {name} {traced}; list {}\n", number + PLUGINS.len());
    }
    let mut seen: BTreeMap<(usize, String), usize> = BTreeMap::new();
    for line in site.bash(&script)?.lines() {
        let (call, name) = line.split_once(' ').context("two words")?;
        if OWN.split_whitespace().any(|own| own == name) || !name.starts_with(char::is_alphabetic) {
            continue;
        }
        *seen.entry((call.parse()?, name.to_owned())).or_default() += 1;
    }
    for ((call, name), count) in seen {
        let verb = if call < PLUGINS.len() { Verb::Add } else { Verb::Del };
        for nth in 1..=count {
            let at = At::Call(name.clone(), nth);
            let point = |how, recovery| Point {
                verb,
                plugin: call % PLUGINS.len(),
                at: at.clone(),
                how,
                recovery,
            };
            points.push(point(How::Killed, Recovery::Del));
            points.push(point(How::Killed, Recovery::Gc));
            let (error, errno) = ERRORS[nth % ERRORS.len()];
            points.push(point(How::Failed(error, errno), failing(verb, nth)));
        }
    }
    Ok(points)
}
