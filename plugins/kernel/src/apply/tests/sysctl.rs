use netstate::{Datapath, Mode, Ns, Op, Scope, SysctlKey};

use super::{applied, changed, failure, plan};
use crate::testing::{in_new_host, new_container, sh, sh_in};
use crate::{Kernel, Kind};

fn set(key: &str, value: &str, optional: bool) -> Op {
    let key = SysctlKey::new(key).unwrap();
    Op::SetSysctl { key, value: value.to_owned(), optional }
}

#[test]
fn a_sysctl_is_written_where_it_differs_and_set_back_by_undo() {
    in_new_host(|| {
        let container = new_container();
        let key = "net/ipv4/ip_forward";
        let (here, there) = (sh("sysctl -n net.ipv4.ip_forward"), "sysctl -n net.ipv4.ip_forward");
        let was_inside = sh_in(&container, there);
        let other = if was_inside == "0\n" { "1" } else { "0" };
        let mut kernel = Kernel::open(Some(&container));
        let once = plan([(Ns::Container, Mode::Ensure, set(key, other, false))]);
        let report = applied(&mut kernel, &once);
        assert_eq!(sh_in(&container, there), format!("{other}\n"));
        assert_eq!(sh(there), here, "the host has its own");
        assert_eq!(changed(&applied(&mut kernel, &once)), [false]);
        let mut scope = Scope::default();
        scope.sysctls.insert((Ns::Container, SysctlKey::new(key).unwrap()));
        scope.sysctls.insert((Ns::Container, SysctlKey::new("net/none").unwrap()));
        let seen = kernel.observe(&scope).unwrap();
        let values: Vec<&String> = seen.0.ns(&Ns::Container).unwrap().sysctls.values().collect();
        assert_eq!(values, [other]);
        applied(&mut kernel, &report.undo());
        assert_eq!(sh_in(&container, there), was_inside);
    });
}

#[test]
fn several_numbers_are_the_same_whatever_stands_between_them() {
    in_new_host(|| {
        let now = sh("cat /proc/sys/net/ipv4/ip_local_port_range");
        let blanks = now.split_whitespace().collect::<Vec<_>>().join(" ");
        let step = (Ns::Host, Mode::Ensure, set("net/ipv4/ip_local_port_range", &blanks, false));
        assert_eq!(changed(&applied(&mut Kernel::open(None), &plan([step]))), [false]);
    });
}

#[test]
fn a_sysctl_that_is_not_there_is_an_error_unless_optional() {
    in_new_host(|| {
        let mut kernel = Kernel::open(None);
        let with = |optional| plan([(Ns::Host, Mode::Fresh, set("net/none/such", "1", optional))]);
        assert_eq!(changed(&applied(&mut kernel, &with(true))), [false]);
        let error = failure(kernel.apply(&with(false)));
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().contains("net/none/such"), "{error}");
    });
}

#[test]
fn a_read_only_proc_is_not_in_the_way_of_what_is_right() {
    in_new_host(|| {
        let now = sh("cat /proc/sys/net/ipv4/ip_forward");
        sh("mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys");
        let mut kernel = Kernel::open(None);
        let with = |value: &str, optional| {
            plan([(Ns::Host, Mode::Fresh, set("net/ipv4/ip_forward", value, optional))])
        };
        assert_eq!(changed(&applied(&mut kernel, &with(now.trim(), false))), [false]);
        let other = if now.trim() == "0" { "1" } else { "0" };
        assert_eq!(changed(&applied(&mut kernel, &with(other, true))), [false]);
        assert_eq!(failure(kernel.apply(&with(other, false))).kind(), Kind::Permission);
    });
}

#[test]
fn without_a_container_its_steps_fail_and_say_so() {
    in_new_host(|| {
        let step = (Ns::Container, Mode::Fresh, set("net/ipv4/ip_forward", "1", false));
        let error = failure(Kernel::open(None).apply(&plan([step])));
        assert_eq!(
            error.to_string(),
            "enter the container's network namespace: no network namespace was given"
        );
    });
}
