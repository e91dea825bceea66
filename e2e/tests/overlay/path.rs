//! What an attachment waits for, and what it asks of the kernel.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use e2e::attach_socket::{attach, detach};
use e2e::cut::{sends, sent};
use e2e::names::Asker;
use e2e::require_programs;
use rustix::process::Signal;
use serde_json::json;

use crate::site::run;

/// What asks etcd waits for longer than that.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Messages about links as strace shows them in a namespace that is not its own (`RTM_SETLINK`, `RTM_DELLINK`), and
/// the attribute `IFLA_GROUP` (`include/uapi/linux/rtnetlink.h`, `if_link.h`).
const SETLINK: &str = "nlmsg_type=0x13 ";
const DELLINK: &str = "nlmsg_type=0x11 ";
const GROUP: &str = r"\x08\x00\x1b\x00";
/// How many containers there are when the last one comes.
const MANY: usize = 60;

#[test]
fn later_containers_of_a_network_come_and_go_and_are_found_while_etcd_answers_nothing() -> Result<()>
{
    run(1, |site| {
        site.done(0, &["create", "-d", "overlay", "n"])?;
        let first = Asker::new(site.host(0)?, "first", "n", &json!({}))?;
        // It takes requests, and answers none.
        site.etcd.signal(Signal::STOP)?;
        let began = Instant::now();
        for number in 0..3 {
            let name = format!("c{number}");
            let one = Asker::new(site.host(0)?, &name, "n", &json!({}))?;
            assert_eq!(first.asks(&name, false)?.1, [one.ip(0)?]);
            detach(&one.container, "n")?;
            assert_eq!(first.asks(&name, false)?.1, Vec::<String>::new());
        }
        let took = began.elapsed();
        site.etcd.signal(Signal::CONT)?;
        ensure!(took < AT_ONCE * 3, "{took:?} for three containers");
        Ok(())
    })
}

#[test]
fn an_attach_to_an_overlay_asks_the_kernel_as_much_with_many_containers_as_with_few() -> Result<()>
{
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    run(2, |site| {
        // One block has room for all, so that none is fetched in the midst of it, and no container that came
        // before is announced again.
        let once = "com.docker.network.advertise_addr_nmsgs=1";
        site.done(0, &["create", "-d", "overlay", "--subnet", "10.7.0.0/16", "-o", once, "n"])?;
        site.wait_shown(1, "n")?;
        let add = |host: usize, number: usize| -> Result<()> {
            let container = site.host(host)?.add_container(&format!("c{number}"))?;
            attach(&container, "n", &json!({})).map(drop)
        };
        let pid = site.nodes[0].pid()?;
        // What others cause, and what etcd is told, comes in between: the least of several counts.
        let least = |first: usize| -> Result<usize> {
            let counts = (first..first + 4).map(|number| sends(pid, || add(0, number)));
            Ok(counts.collect::<Result<Vec<_>>>()?.into_iter().min().unwrap_or_default())
        };
        (0..3).try_for_each(|number| add(0, number))?;
        let few = least(3)?;
        (7..MANY).try_for_each(|number| add(number % 2, number))?;
        let many = least(MANY)?;
        ensure!(few > 10 && many <= few + few / 4, "{few} among few, {many} among {MANY}");
        Ok(())
    })
}

#[test]
fn both_interfaces_of_a_container_that_goes_off_an_overlay_are_deleted_by_one_message() -> Result<()>
{
    if !require_programs(&["strace"])? {
        return Ok(());
    }
    run(1, |site| {
        site.done(0, &["create", "-d", "overlay", "n"])?;
        let containers = ["stays", "goes"].map(|name| {
            let container = site.host(0)?.add_container(name)?;
            attach(&container, "n", &json!({}))?;
            Ok(container)
        });
        let [stays, goes]: [Result<_>; 2] = containers;
        let _stays = stays?;
        let goes = goes?;
        let sent = sent(site.nodes[0].pid()?, || detach(&goes, "n"))?;
        // Both are put into a group, which is deleted: the kernel waits once, at the end of that message. What asks for
        // their other ends after it finds none.
        let at = |kind: &str| sent.iter().position(|call| call.contains(kind));
        let (grouped, deleted) = (at(SETLINK).context("a group")?, at(DELLINK).context("its end")?);
        ensure!(grouped < deleted && sent[grouped].matches(SETLINK).count() == 2, "{sent:#?}");
        let deletes = sent.iter().filter(|call| call.contains(DELLINK));
        let by_group = deletes.filter(|call| call.contains(GROUP)).count();
        ensure!(by_group == 1 && sent[deleted].contains(GROUP), "{sent:#?}");
        Ok(())
    })
}
